"""An episode on one HTML page that needs no other file: verdict, figures and pictures."""

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from aloha_stack.episodes.commanders import in_words
from aloha_stack.episodes.summary import EpisodeSummary
from aloha_stack.episodes.thresholds import Thresholds

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #24292f; max-width: 1180px;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left; }
th { font-weight: 600; border-bottom: 1px solid #b8bec6; }
.numbers td + td, .numbers th + th { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; display: block; margin: .6rem 0 1.4rem; }
.verdict { display: inline-block; padding: .1rem .7rem; border-radius: .3rem; font-weight: 600;
           border: 2px solid #24292f; }
.good { background: #d7eef7; border-color: #0072B2; }
.flawed { background: #fdf0d5; border-color: #E69F00; }
.incomplete, .damaged { background: #fbe0d3; border-color: #D55E00; }
.scroll { overflow-x: auto; }
"""


def page(summary: EpisodeSummary, thresholds: Thresholds, pictures: Sequence[Path]) -> str:
    """The page's text. `pictures` are PNG files, which become part of it."""
    name = Path(summary.path).name
    verdict = summary.verdict + (", repaired" if summary.repaired else "")
    parts = [
        f"<h1>{_text(name)}</h1>",
        f"<p>{_text(_words(summary))}</p>",
        f'<p><span class="verdict {summary.verdict}">{_text(verdict)}</span></p>',
        _list((*summary.reasons, *summary.remarks)),
    ]
    for picture in pictures:
        data = base64.b64encode(picture.read_bytes()).decode()
        parts.append(f'<img alt="{_text(picture.stem)}" src="data:image/png;base64,{data}">')
    parts += [
        "<h2>Episode</h2>",
        _table((), _episode_rows(summary)),
        "<h2>Streams</h2>",
        _table(
            ("topic", "messages", "Hz", "nominal Hz", "late", "longest gap (s)", "lost"),
            (
                (
                    stream.topic,
                    str(stream.messages),
                    _number(stream.rate_hz, 1),
                    _number(stream.nominal_hz, 0),
                    _percent(stream.late_share),
                    _number(stream.longest_gap_s, 3),
                    str(stream.lost),
                )
                for stream in summary.streams
            ),
        ),
    ]
    if summary.pictures:
        parts += [
            "<h2>Pictures</h2>",
            _table(
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
                        _percent(found.repeated_share),
                        f"{found.frozen_s:.2f}",
                    )
                    for camera, found in summary.pictures.items()
                ),
            ),
        ]
    parts += [
        "<h2>Thresholds</h2>",
        _table(("key", "value"), ((k, f"{v:g}") for k, v in asdict(thresholds).items())),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(name)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _words(summary: EpisodeSummary) -> str:
    words = [summary.task, summary.outcome, summary.robot, *summary.labels]
    if summary.seed >= 0:
        words.insert(1, f"seed {summary.seed}")
    return " · ".join(word for word in words if word)


def _episode_rows(summary: EpisodeSummary) -> Iterable[tuple[str, str]]:
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


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """With titles all columns but the first are numbers."""

    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"

    head = line(titles, "th") if titles else ""
    body = "\n".join(line(row, "td") for row in rows)
    kind = ' class="numbers"' if titles else ""
    return f'<div class="scroll"><table{kind}>{head}\n{body}</table></div>'


def _list(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(item)}</li>" for item in items) + "</ul>" if items else ""


def _text(text: str) -> str:
    return html.escape(text)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
