"""Joint plots of an episode: what the leader did, what was commanded, what the follower did."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aloha_stack.analysis.commander_band import draw_band, name_band, stretches
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.reader import JOINT_STATE, Episode, JointStream
from aloha_stack.robot.joints import JOINTS, SIDES

INK, GRID, PAUSE = "#3c4043", "#e3e6ea", "#eceef1"
BROKEN_S = 0.25
"""A line is not drawn across a longer time without a message."""
STYLES = {
    # label: topic of a side, colour, width, order of drawing
    "leader": ("/leader_{side}/joint_states", "#9aa5b1", 2.4, 1),
    "command": ("/follower_{side}/command_executed", "#d9622b", 1.2, 3),
    "follower": ("/follower_{side}/joint_states", "#1f6fb2", 1.4, 2),
}


def plot_joints(episode: Episode, path: Path, dpi: int = 110) -> Path:
    """Draws 7 joints × 2 sides over time, rad over s, into the PNG file `path`; of a rollout who
    commanded, too.

    Streams that were not recorded are left out. Raises EpisodeError if there is none of them, and
    OSError if the picture cannot be written.
    """
    streams = drawn_streams(episode)
    start_ns, end_ns = span_of(streams)
    band = stretches(episode, start_ns, end_ns)
    figure = Figure(figsize=(12.5, 15.0), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(JOINTS), len(SIDES), sharex=True, sharey="row", squeeze=False)
    for column, side in enumerate(SIDES):
        for row, joint in enumerate(JOINTS):
            _panel(axes[row][column], streams, side, joint, start_ns)
            shade_pauses(axes[row][column], episode, start_ns, end_ns)
            draw_band(axes[row][column], band, start_ns)
        axes[0][column].set_title(f"{side} arms", fontsize=12, color=INK, pad=10)
        axes[-1][column].set_xlabel("time (s)", fontsize=10, color=INK)
    for row, joint in enumerate(JOINTS):
        # A joint that hardly moves on either side must not look as if it did.
        low, high = axes[row][0].get_ylim()
        if high - low < 0.1:
            middle = float(np.mean((low, high)))
            axes[row][0].set_ylim(middle - 0.05, middle + 0.05)
        axes[row][0].set_ylabel(f"{joint.replace('_', ' ')}\n(rad)", fontsize=10, color=INK)
    info = episode.info
    words = [episode.path.name, info.task, info.outcome]
    figure.suptitle(
        " · ".join(w for w in words if w), x=0.075, y=0.985, ha="left", fontsize=14, color=INK
    )
    handles = {
        label: line
        for axis in figure.axes
        for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    order = [label for label in STYLES if label in handles]
    figure.legend(
        [handles[label] for label in order],
        order,
        loc="upper right",
        bbox_to_anchor=(0.985, 0.993),
        ncols=3,
        frameon=False,
        fontsize=11,
        labelcolor=INK,
    )
    name_band(figure, band, INK, (0.525, 0.968))
    figure.subplots_adjust(0.075, 0.04, 0.985, 0.94, wspace=0.06, hspace=0.14)
    figure.savefig(path, dpi=dpi)
    return path


def drawn_streams(episode: Episode) -> Mapping[str, JointStream]:
    """Those of STYLES that hold something, by topic. Raises EpisodeError if there is none."""
    wanted = [topic.format(side=side) for topic, *_ in STYLES.values() for side in SIDES]
    present = [topic for topic in wanted if episode.types.get(topic) == JOINT_STATE]
    streams = {t: s for t, s in episode.joints(*present).items() if len(s.stamps_ns)}
    if not streams:
        raise EpisodeError(
            f"{episode.path} holds no joint stream to draw; expected one of {', '.join(wanted)}"
        )
    return streams


def span_of(streams: Mapping[str, JointStream]) -> tuple[int, int]:
    """From the first to the last stamp of all, ns."""
    return (
        min(int(stream.stamps_ns[0]) for stream in streams.values()),
        max(int(stream.stamps_ns[-1]) for stream in streams.values()),
    )


def line_of(stream: JointStream, joint: str, start_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """s from `start_ns`, and rad, (n,) each; both are nan where the line is broken."""
    times = (stream.stamps_ns - start_ns) * 1e-9
    gaps = np.flatnonzero(np.diff(times) > BROKEN_S) + 1
    values = stream.position[:, stream.names.index(joint)]
    return np.insert(times, gaps, np.nan), np.insert(values, gaps, np.nan)


def _panel(
    axis: Axes, streams: Mapping[str, JointStream], side: str, joint: str, start_ns: int
) -> None:
    for label, (template, colour, width, order) in STYLES.items():
        stream = streams.get(template.format(side=side))
        if stream is None or joint not in stream.names:
            continue
        times, values = line_of(stream, joint, start_ns)
        axis.plot(times, values, color=colour, linewidth=width, zorder=order, label=label)
    axis.margins(x=0.0, y=0.12)
    plain(axis)


def shade_pauses(axis: Axes, episode: Episode, start_ns: int, end_ns: int) -> None:
    """Grey where the recording was paused; the axis counts s from `start_ns`."""
    for begin, end in episode.pauses:
        stop = end if end is not None else end_ns
        axis.axvspan((begin - start_ns) * 1e-9, (stop - start_ns) * 1e-9, color=PAUSE, zorder=0)


def plain(axis: Axes) -> None:
    """The look of every panel: a light grid, two thin spines, readable ticks."""
    axis.grid(True, color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=9, colors=INK, length=0)
    for name, spine in axis.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color("#b8bec6")
