"""Pictures of an episode's timing: how evenly its streams came, and how well they agree."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aloha_stack.analysis.commander_band import draw_band, name_band, stretches
from aloha_stack.analysis.plots import INK, plain, shade_pauses
from aloha_stack.episodes.alignment import AlignedEpisode
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.stream_quality import LATE, paused
from aloha_stack.episodes.summary import StreamSummary

# Okabe and Ito's colours, which colour-blind people tell apart (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
)
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, INK)
DPI = 110


def plot_rates(episode: Episode, streams: Sequence[StreamSummary], path: Path) -> Path:
    """The intervals between the messages of each stream with a fixed rate, ms over s.

    Late ones stand out, pauses are grey. Raises OSError if the file cannot be written.
    """
    shown = [stream for stream in streams if stream.late_share is not None]
    figure = _figure(1.4 + 0.92 * max(len(shown), 1))
    axes = figure.subplots(max(len(shown), 1), 1, sharex=True, squeeze=False)[:, 0]
    start_ns, end_ns = _span(episode)
    for axis, stream in zip(axes, shown, strict=False):
        _intervals(axis, episode, stream, start_ns)
        shade_pauses(axis, episode, start_ns, end_ns)
    if not shown:
        axes[0].text(0.5, 0.5, "no stream with a rate", ha="center", transform=axes[0].transAxes)
    axes[-1].set_xlabel("time (s)", fontsize=10, color=INK)
    axes[-1].set_xlim(0.0, max((end_ns - start_ns) * 1e-9, 0.1))
    _title(
        figure,
        "Interval between messages (ms)",
        f"dashed: nominal; red: late, more than {LATE:g} times as much; grey: paused",
    )
    return _saved(figure, path, left=0.185, right=0.885, hspace=0.28)


def plot_agreement(episode: Episode, aligned: AlignedEpisode, path: Path) -> Path:
    """Skew of each camera and age of each joint stream against the steps, ms over s."""
    figure = _figure(7.2)
    top, bottom = figure.subplots(2, 1, sharex=True)
    start_ns, end_ns = _span(episode)
    times = (aligned.time_ns - start_ns) * 1e-9
    breaks = np.flatnonzero(np.diff(aligned.segment)) + 1
    cameras = [(name, camera.skew_ns) for name, camera in aligned.cameras.items()]
    _lines(top, times, breaks, cameras, "exposure − step (ms)", "no camera")
    ages = [(topic.strip("/"), age) for topic, age in aligned.joint_age_ns.items()]
    _lines(bottom, times, breaks, ages, "step − sample (ms)", "no joint stream")
    band = stretches(episode, start_ns, end_ns)
    for axis in (top, bottom):
        shade_pauses(axis, episode, start_ns, end_ns)
        draw_band(axis, band, start_ns)
    name_band(figure, band, INK, (0.78, 0.99))
    bottom.set_xlabel("time (s)", fontsize=10, color=INK)
    bottom.set_xlim(0.0, max((end_ns - start_ns) * 1e-9, 0.1))
    settings = aligned.settings
    _title(
        figure,
        f"Agreement with the {settings.step_hz:g} Hz steps",
        f"above: skew of the pictures; below: age of the joint samples (commands are taken "
        f"{settings.action_lead_steps:g} step later); {settings.method}",
    )
    return _saved(figure, path, left=0.075, right=0.77, hspace=0.12)


def _intervals(axis: Axes, episode: Episode, stream: StreamSummary, start_ns: int) -> None:
    stamps = np.sort(episode.contents().stamps_ns.get(stream.topic, np.zeros(0, np.int64)))
    counted = ~paused(stamps[:-1], stamps[1:], episode.pauses)
    times = (stamps[1:][counted] - start_ns) * 1e-9
    intervals_ms = np.maximum(np.diff(stamps)[counted] * 1e-6, 0.1)
    period_ms = 1e3 / stream.nominal_hz if stream.nominal_hz else None
    late = intervals_ms > LATE * period_ms if period_ms else np.zeros(len(intervals_ms), bool)
    axis.set_yscale("log")
    axis.plot(times[~late], intervals_ms[~late], ".", color=BLUE, markersize=2.2)
    axis.plot(times[late], intervals_ms[late], "o", color=VERMILLION, markersize=3.2)
    if period_ms:
        axis.axhline(period_ms, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    plain(axis)
    low, high = (period_ms or 10.0) / 4, (period_ms or 10.0) * 12
    axis.set_ylim(low, max(high, 1.6 * float(intervals_ms.max(initial=0.0))))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(lambda *_: "")
    name = stream.topic.strip("/").replace("/image_raw", "").replace("/", "\n", 1)
    axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, color=INK, labelpad=30)
    axis.yaxis.set_label_coords(-0.055, 0.5)
    words = [
        f"{stream.rate_hz:.1f} Hz" if stream.rate_hz else "no rate",
        f"{100 * (stream.late_share or 0.0):.1f} % late",
        f"longest {1e3 * (stream.longest_gap_s or 0.0):.0f} ms",
    ]
    axis.text(
        1.012, 0.5, "\n".join(words), transform=axis.transAxes, va="center", fontsize=9, color=INK
    )


def _lines(
    axis: Axes,
    times: np.ndarray,
    breaks: np.ndarray,
    series: Iterable[tuple[str, np.ndarray]],
    label: str,
    nothing: str,
) -> None:
    """One line each; where steps are missing the line is broken, too."""
    drawn = False
    at = np.insert(times, breaks, np.nan)
    for number, (name, values_ns) in enumerate(series):
        values = np.insert(values_ns * 1e-6, breaks, np.nan)
        style = "-" if number < len(SERIES) else "--"
        colour = SERIES[number % len(SERIES)]
        width = max(3.2 - 0.45 * number, 0.9)  # thinner above thicker: equal lines all show
        axis.plot(at, values, style, color=colour, linewidth=width, label=name)
        drawn = True
    plain(axis)
    axis.margins(y=0.15)
    low, high = axis.get_ylim()
    if high - low < 2.0:  # what hardly varies must not look as if it did
        axis.set_ylim((low + high) / 2 - 1.0, (low + high) / 2 + 1.0)
    axis.set_ylabel(label, fontsize=10, color=INK)
    if drawn:
        axis.legend(
            loc="center left",
            bbox_to_anchor=(1.005, 0.5),
            frameon=False,
            fontsize=9,
            labelcolor=INK,
        )
    else:
        axis.text(0.5, 0.5, nothing, ha="center", transform=axis.transAxes, color=INK)


def _span(episode: Episode) -> tuple[int, int]:
    """First and last stamp of what steps are made of, ns."""
    contents = episode.contents()
    heard = [
        contents.stamps_ns[topic]
        for topic in (*contents.joints, *contents.pictures)
        if len(contents.stamps_ns[topic])
    ]
    if not heard:
        return 0, 0
    return min(int(s.min()) for s in heard), max(int(s.max()) for s in heard)


def _figure(height: float) -> Figure:
    figure = Figure(figsize=(12.5, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _title(figure: Figure, text: str, below: str) -> None:
    height = figure.get_size_inches()[1]
    figure.text(0.02, 1 - 0.34 / height, text, fontsize=14, color=INK)
    figure.text(0.02, 1 - 0.60 / height, below, fontsize=10, color=INK)


def _saved(figure: Figure, path: Path, left: float, right: float, hspace: float) -> Path:
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left, 0.55 / height, right, 1 - 0.80 / height, hspace=hspace)
    figure.savefig(path, dpi=DPI)
    return path
