"""A few moments of an episode as all its cameras saw them, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from aloha_stack.analysis.plots import INK
from aloha_stack.episodes.alignment import AlignmentSettings
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import FrameIndex
from aloha_stack.episodes.step_grid import NEAREST, pick

MOMENTS = 8
TILE = 240
"""Width of one picture, px."""
DPI = 110
PAPER, HATCHING = "#f1f3f5", "#b8bec6"
"""Of the cells without a picture."""


@dataclass(frozen=True)
class Moments:
    """Times (n,) int64 ns, even from the first to the last picture, and which picture each camera
    took then: its index, or None where it took none within the tolerance."""

    times_ns: np.ndarray
    taken: Mapping[str, tuple[int | None, ...]]

    def at_s(self, number: int) -> float:
        """Of one of them, from the first picture on."""
        return float(self.times_ns[number] - self.times_ns[0]) * 1e-9


def moments_of(
    frames: Mapping[str, FrameIndex],
    count: int = MOMENTS,
    tolerance_s: float = AlignmentSettings().tolerance_s,
) -> Moments:
    """`count` moments of an episode. Raises EpisodeError if there is no camera."""
    if not frames:
        raise EpisodeError("there are no pictures to show; was it recorded without cameras?")
    start = min(int(index.stamps_ns[0]) for index in frames.values())
    end = max(int(index.stamps_ns[-1]) for index in frames.values())
    times = np.linspace(start, end, count).astype(np.int64)
    taken = {}
    for camera, index in frames.items():
        nearest = pick(index.stamps_ns, times, NEAREST)
        near = np.abs(index.stamps_ns[nearest] - times) <= tolerance_s * 1e9
        taken[camera] = tuple(
            int(frame) if is_near else None for frame, is_near in zip(nearest, near, strict=True)
        )
    return Moments(times, taken)


def plot_strip(frames: Mapping[str, FrameIndex], path: Path) -> Path:
    """Draws moments × cameras into the PNG `path`.

    Where a camera took no picture within the tolerance of a moment, its cell is hatched; a picture
    that cannot be decoded is shown as such. Raises EpisodeError if there is no camera, OSError if
    the file cannot be written.
    """
    moments = moments_of(frames)
    shapes = [index.height / index.width for index in frames.values()]
    left, top, gap, width = 1.35, 0.75, 0.04, 1.62
    height = top + sum(width * shape + gap for shape in shapes) + 0.1
    figure = Figure(figsize=(left + MOMENTS * (width + gap) + 0.1, height), facecolor="white")
    FigureCanvasAgg(figure)
    total_w, total_h = figure.get_size_inches()
    figure.text(0.1 / total_w, 1 - 0.32 / total_h, "What the cameras saw", fontsize=14, color=INK)
    y = height - top
    for row, ((camera, index), shape) in enumerate(zip(frames.items(), shapes, strict=True)):
        y -= width * shape
        for column, frame in enumerate(moments.taken[camera]):
            x = left + column * (width + gap)
            axis = figure.add_axes(
                (x / total_w, y / total_h, width / total_w, width * shape / total_h)
            )
            axis.set_axis_off()
            if row == 0:
                axis.set_title(f"{moments.at_s(column):.1f} s", fontsize=10, color=INK, pad=4)
            if frame is None:
                _blank(axis)
                continue
            try:
                axis.imshow(shrunk(index.rgb(frame), TILE), aspect="auto")
            except EpisodeError:
                axis.text(0.5, 0.5, "damaged", ha="center", transform=axis.transAxes, color=INK)
        label = camera.replace("_wrist", "\nwrist")
        middle = (y + width * shape / 2) / total_h
        figure.text(0.1 / total_w, middle, label, fontsize=10, color=INK, va="center")
        y -= gap
    figure.savefig(path, dpi=DPI)
    return path


def _blank(axis: Axes) -> None:
    axis.add_patch(
        Rectangle((0, 0), 1, 1, transform=axis.transAxes, fc=PAPER, ec=HATCHING, hatch="//", lw=0)
    )
    axis.text(
        0.5,
        0.5,
        "no picture",
        transform=axis.transAxes,
        ha="center",
        va="center",
        fontsize=9,
        color=INK,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 2},
    )


def shrunk(picture: np.ndarray, width: int) -> np.ndarray:
    """An image (H, W, 3) at that width, px."""
    height = max(round(picture.shape[0] * width / picture.shape[1]), 1)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
