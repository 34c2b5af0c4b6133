"""The part of a session's page that is about one episode: verdict, plots, pictures and figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from aloha_stack.analysis import joint_panels
from aloha_stack.analysis.camera_strip import moments_of, shrunk
from aloha_stack.analysis.html_parts import items, picture, table, text
from aloha_stack.analysis.inspect_page import (
    figures,
    picture_table,
    stream_table,
    verdict,
    what_it_is,
)
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import FrameIndex, frame_indexes
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import EpisodeSummary

MOMENTS = 5
TILE = 160
"""Width of one picture, px."""
JPEG_QUALITY = 60
MIB = float(1 << 20)

STYLE = (
    joint_panels.STYLE
    + """
.strip { border-collapse: separate; border-spacing: 3px; }
.strip td, .strip th { padding: 0; border: 0; font-weight: normal; text-align: center;
  vertical-align: middle; color: var(--soft); }
.strip td + td { width: 160px; height: 90px; background: var(--shade); }
.strip img { margin: 0; width: 160px; } .strip td:first-child { padding-right: .6rem; }
section { border-top: 1px solid var(--rule); margin-top: 2.2rem; content-visibility: auto;
  contain-intrinsic-size: auto 1200px; }
summary { cursor: pointer; color: var(--soft); }
@media print { section { break-before: page; content-visibility: visible; }
  details::details-content { content-visibility: visible; } }
"""
)


@dataclass(frozen=True)
class Reported:
    """One episode of the session; the page's part about it is made while it is open."""

    summary: EpisodeSummary
    size_bytes: int
    recorded_at: str = ""  # as it was noted
    recorder: str = ""  # software that wrote the file
    variation: str = ""
    drawn: str = ""  # HTML: plots and pictures

    @property
    def name(self) -> str:
        """Of its folder."""
        return Path(self.summary.path).name


def section(episode: Reported) -> str:
    """HTML; the page's table leads to it by the episode's name."""
    summary = episode.summary
    parts = [
        f'<section id="{text(episode.name)}"><h2>{text(episode.name)} {verdict(summary)}</h2>',
        f"<p>{text(what_it_is(summary))}</p>",
        items((*summary.reasons, *summary.remarks)),
        episode.drawn,
    ]
    if summary.streams:
        parts += [
            "<details><summary>Figures, rates and losses</summary>",
            table((), [*figures(summary), *_notes(episode)]),
            stream_table(summary),
            picture_table(summary) if summary.pictures else "",
            "</details>",
        ]
    return "\n".join([*filter(None, parts), "</section>"])


def _notes(episode: Reported) -> Iterator[tuple[str, str]]:
    known = (("recorded at", episode.recorded_at), ("written by", episode.recorder))
    yield from (
        (name, value) for name, value in (*known, ("variation", episode.variation)) if value
    )
    yield "on the disk", f"{episode.size_bytes / MIB:.1f} MiB"


def drawn(episode: Episode) -> str:
    """The plots and pictures of an episode, as far as there are any; else why not."""
    parts = []
    for heading, make in (("Joints", joint_panels.joint_panels), ("Cameras", _strip)):
        try:
            made = make(episode)
        except EpisodeError as error:
            made = f'<p class="soft">{text(str(error))}</p>'
        parts += [f"<h3>{heading}</h3>", made]
    return "\n".join(parts)


def _strip(episode: Episode) -> str:
    """A few moments as all cameras saw them. Raises EpisodeError without cameras."""
    frames = frame_indexes(episode)
    moments = moments_of(frames, MOMENTS)
    times = "".join(f"<th>{moments.at_s(number):.1f} s</th>" for number in range(MOMENTS))
    rows = [_strip_row(camera, index, moments.taken[camera]) for camera, index in frames.items()]
    head = f"<tr><th></th>{times}</tr>"
    return f'<div class="scroll"><table class="strip">{head}{"".join(rows)}</table></div>'


def _strip_row(camera: str, index: FrameIndex, taken: Sequence[int | None]) -> str:
    cells = []
    for frame in taken:
        if frame is None:
            cells.append("no picture")
            continue
        try:
            cells.append(picture(_small(index, frame), "jpeg", camera))
        except EpisodeError:
            cells.append("damaged")
    return f"<tr><td>{text(camera)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _small(index: FrameIndex, frame: int) -> bytes:
    seen = cv2.cvtColor(shrunk(index.rgb(frame), TILE), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", seen, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()
