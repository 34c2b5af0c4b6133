"""A session on one HTML page: every episode, how it went and what was seen."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aloha_stack.analysis import html_parts, report_episode
from aloha_stack.analysis.html_parts import marked_table, number, table, text
from aloha_stack.analysis.inspect_page import verdict
from aloha_stack.analysis.report_episode import MIB, Reported, section
from aloha_stack.analysis.success import judged_success, rate_in_words
from aloha_stack.episodes.quality import DAMAGED, VERDICTS
from aloha_stack.progress import duration

GIB = float(1 << 30)

STYLE = (
    report_episode.STYLE
    + """
.overview td { white-space: nowrap; }
@media print { .overview { font-size: 11px; } }
"""
)


@dataclass(frozen=True)
class Session:
    """What the page is about."""

    folder: Path
    episodes: Sequence[Reported]
    left_out: int = 0  # older ones
    discarded: int = 0
    elsewhere: Sequence[str] = ()  # folders in it that hold episodes of their own
    free_bytes: int = 0


def page(session: Session) -> str:
    """The text of the page."""
    title = f"Report of {session.folder.name}"
    parts = [f"<h1>{text(title)}</h1>", table((), _told(session))]
    if session.episodes:
        parts += ["<h2>Episodes</h2>", _overview(session.episodes)]
        parts += [section(episode) for episode in session.episodes]
    return html_parts.document(title, parts, STYLE)


def successes(episodes: Sequence[Reported]) -> Iterator[tuple[str, str]]:
    """For each kind of attempt, by task, world and who commanded: how many succeeded."""
    kinds: dict[str, list[bool | None]] = {}
    for episode in episodes:
        summary = episode.summary
        what = "demonstrations" if summary.human_share is None else "rollouts"
        where = " ".join(filter(None, (summary.task, episode.variation)))
        if summary.verdict != DAMAGED:
            kind = f"{what} of {where}" if where else what
            kinds.setdefault(kind, []).append(judged_success(summary))
    for kind, found in sorted(kinds.items()):
        known = [won for won in found if won is not None]
        words = [rate_in_words(sum(known), len(known))] if known else []
        if len(known) < len(found):
            words.append(f"{len(found) - len(known)} not judged")
        yield kind, "; ".join(words)


def _told(session: Session) -> Iterator[tuple[str, str]]:
    episodes = session.episodes
    yield "folder", str(session.folder.resolve())
    if episodes:
        yield from _counted(episodes)
    else:
        yield "episodes", "none in this folder"
    if session.left_out:
        yield "left out", f"{session.left_out} older ones of the folder"
    if session.discarded:
        yield "discarded", str(session.discarded)
    if session.elsewhere:
        yield "more episodes", f"in its folders {', '.join(session.elsewhere)}"
    yield "free on the disk", f"{session.free_bytes / GIB:.1f} GiB"


def _counted(episodes: Sequence[Reported]) -> Iterator[tuple[str, str]]:
    summaries = [episode.summary for episode in episodes]
    verdicts = Counter(summary.verdict for summary in summaries)
    counts = ", ".join(f"{verdicts[name]} {name}" for name in VERDICTS if verdicts[name])
    yield "episodes", f"{len(episodes)}: {counts}"
    yield from successes(episodes)
    yield "length", duration(sum(summary.duration_s for summary in summaries))
    told = sorted(filter(None, (episode.recorded_at for episode in episodes)))
    if told:
        yield "recorded", told[0] if told[0] == told[-1] else f"{told[0]} to {told[-1]}"
    for what, names in (
        ("robot", {summary.robot for summary in summaries}),
        ("written by", {episode.recorder for episode in episodes}),
    ):
        if any(names):
            yield what, ", ".join(sorted(filter(None, names)))
    messages = sum(summary.messages for summary in summaries)
    yield "messages", f"{messages}, lost {sum(summary.lost for summary in summaries)}"
    yield "size", f"{sum(episode.size_bytes for episode in episodes) / MIB:.1f} MiB"


def _overview(episodes: Sequence[Reported]) -> str:
    titles = (
        *("episode", "recorded", "task", "seed", "seconds", "steps", "lost", "skew ms"),
        *("human", "reward", "outcome", "MiB", "verdict"),
    )
    rows = (list(_cells(episode)) for episode in episodes)
    return f'<div class="overview">{marked_table(titles, rows, numbers=False)}</div>'


def _cells(episode: Reported) -> Iterator[str]:
    summary = episode.summary
    skew, human, best = summary.skew, summary.human_share, summary.best_reward
    yield f'<a href="#{text(episode.name)}">{text(episode.name)}</a>'
    yield text(episode.recorded_at[:16].replace("T", " ") or "-")
    yield text(" ".join(filter(None, (summary.task, episode.variation))) or "-")
    yield str(summary.seed) if summary.seed >= 0 else "-"
    yield f"{summary.duration_s:.1f}"
    yield str(summary.steps)
    yield str(summary.lost)
    yield (
        number(skew.median_ms if skew else None, 0) + "/" + number(skew.p99_ms if skew else None, 0)
    )
    yield "-" if human is None else f"{human:.0%}"
    yield f"{best} of {summary.max_reward}" if best is not None else "-"
    yield text(summary.outcome or "-")
    yield f"{episode.size_bytes / MIB:.1f}"
    yield verdict(summary)
