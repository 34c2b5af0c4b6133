"""An episode on one HTML page that needs no other file: verdict, figures and pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from aloha_stack.analysis.html_parts import (
    badge,
    document,
    items,
    number,
    percent,
    picture,
    table,
    text,
)
from aloha_stack.episodes.commanders import in_words
from aloha_stack.episodes.summary import EpisodeSummary
from aloha_stack.episodes.thresholds import Thresholds


def page(summary: EpisodeSummary, thresholds: Thresholds, pictures: Sequence[Path]) -> str:
    """The page's text. `pictures` are PNG files, which become part of it."""
    name = Path(summary.path).name
    parts = [
        f"<h1>{text(name)}</h1>",
        f"<p>{text(what_it_is(summary))}</p>",
        f"<p>{verdict(summary)}</p>",
        items((*summary.reasons, *summary.remarks)),
        *(picture(drawn.read_bytes(), "png", drawn.stem) for drawn in pictures),
        "<h2>Episode</h2>",
        table((), figures(summary)),
        "<h2>Streams</h2>",
        stream_table(summary),
    ]
    if summary.pictures:
        parts += ["<h2>Pictures</h2>", picture_table(summary)]
    parts += [
        "<h2>Thresholds</h2>",
        table(("key", "value"), ((k, f"{v:g}") for k, v in asdict(thresholds).items())),
    ]
    return document(name, parts)


def verdict(summary: EpisodeSummary) -> str:
    """The badge."""
    return badge(summary.verdict, ", repaired" if summary.repaired else "")


def stream_table(summary: EpisodeSummary) -> str:
    """Rates and losses of all topics."""
    return table(
        ("topic", "messages", "Hz", "nominal Hz", "late", "longest gap (s)", "lost"),
        (
            (
                stream.topic,
                str(stream.messages),
                number(stream.rate_hz, 1),
                number(stream.nominal_hz, 0),
                percent(stream.late_share),
                number(stream.longest_gap_s, 3),
                str(stream.lost),
            )
            for stream in summary.streams
        ),
    )


def picture_table(summary: EpisodeSummary) -> str:
    """What the pictures of each camera are like."""
    return table(
        (
            "camera",
            "pictures",
            "not whole",
            "in motion",
            "of those repeated",
            "frozen in motion (s)",
        ),
        (
            (
                camera,
                str(found.pictures),
                str(found.broken),
                str(found.moving),
                percent(found.repeated_share),
                f"{found.frozen_s:.2f}",
            )
            for camera, found in summary.pictures.items()
        ),
    )


def what_it_is(summary: EpisodeSummary) -> str:
    """Task, seed, outcome, robot and labels in a line."""
    words = [summary.task, summary.outcome, summary.robot, *summary.labels]
    if summary.seed >= 0:
        words.insert(1, f"seed {summary.seed}")
    return " · ".join(word for word in words if word)


def figures(summary: EpisodeSummary) -> Iterable[tuple[str, str]]:
    """Names and values of what holds for the episode as a whole."""
    yield "path", summary.path
    yield "steps of 20 ms", f"{summary.steps} in {summary.segments} segment(s)"
    yield "steps commanded by", in_words(summary.commanded) or "-"
    yield "recorded", f"{summary.duration_s:.2f} s, paused {summary.paused_s:.2f} s"
    yield "messages", f"{summary.messages}, lost {summary.lost}"
    if summary.skew is not None:
        skew = summary.skew
        yield (
            "pictures to joint states",
            f"median {skew.median_ms:.1f} ms, 99 % below {skew.p99_ms:.1f} ms, "
            f"at most {skew.max_ms:.1f} ms",
        )
    for arm in summary.commands:
        yield f"commands of {arm.arm}", f"{arm.clamped} clamped, {arm.rejected} rejected"
    for still in summary.standstills:
        yield f"{still.who} {still.how}", f"{still.seconds:.2f} s, from {still.at_s:.1f} s on"
    if summary.best_reward is not None:
        yield "best reward", f"{summary.best_reward} of {summary.max_reward}"
    if summary.real_time_factor is not None:
        yield "speed", f"{summary.real_time_factor:.2f} × real time"
    if summary.repaired:
        yield "repaired", summary.repaired
