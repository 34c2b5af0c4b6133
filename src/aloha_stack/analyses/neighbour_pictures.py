"""The picture of `./aloha analyse neighbours`: a line for each step that is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes

from aloha_stack.analyses.figure_style import figure, saved, titled
from aloha_stack.analysis.plots import INK, plain

MOST = 5
"""Neighbours that are drawn."""
GREY, DONE, TOLD = "#9aa5b1", "#3c4043", "#D55E00"
WIDTH_IN, HEIGHT_IN = 2.7, 2.1
"""Of a picture with its words."""


@dataclass(frozen=True)
class Column:
    """A neighbour."""

    episode: str
    time_s: float
    weight: float
    distance: float
    visual: float
    joints: float
    picture: np.ndarray | None  # (H, W, 3) uint8 RGB
    told: np.ndarray  # (T, A) what was done there


@dataclass(frozen=True)
class Line:
    """A step that is asked about, and its neighbours, the nearest first."""

    time_s: float
    picture: np.ndarray | None
    columns: tuple[Column, ...]
    done: np.ndarray  # (T, A) what was done in truth
    dt_s: float
    names: tuple[str, ...]


def draw(lines: Sequence[Line], title: str, path: Path) -> Path:
    """A PNG. Raises OSError."""
    columns = 2 + max(min(len(line.columns), MOST) for line in lines)
    made = figure(WIDTH_IN * columns, 0.8 + HEIGHT_IN * len(lines))
    panels = made.subplots(len(lines), columns, squeeze=False)
    for axes, line in zip(panels, lines, strict=True):
        for axis in axes[:-1]:
            axis.axis("off")
        size = (3, 4) if line.picture is None else line.picture.shape[:2]
        _picture(axes[0], line.picture, size, f"seen at {line.time_s:.2f} s", "")
        for axis, one in zip(axes[1:-1], line.columns, strict=False):
            _picture(
                axis,
                one.picture,
                size,
                f"{one.episode} at {one.time_s:.2f} s",
                f"weight {one.weight:.2f}; distance {one.distance:.2f}\n"
                f"seen {one.visual:.2f}, joints {one.joints:.2f}",
            )
        _chunks(axes[-1], line)
    handles, labels = panels[0][-1].get_legend_handles_labels()
    made.legend(handles, labels, loc="upper right", ncols=3, frameon=False, labelcolor=INK)
    height = made.get_size_inches()[1]
    made.subplots_adjust(0.01, 0.55 / height, 0.985, 1 - 0.95 / height, wspace=0.12, hspace=0.55)
    titled(made, title, "neighbours from left to right, the nearest first; right: what they did")
    return saved(made, path)


def _picture(
    axis: Axes, picture: np.ndarray | None, size: tuple[int, int], above: str, below: str
) -> None:
    """`size` (height, width) of all pictures."""
    shown = np.full((*size, 3), 240, np.uint8) if picture is None else picture
    scale = max(1, round(480 / size[1]))
    wide = (size[1] * scale, size[0] * scale)
    axis.imshow(cv2.resize(shown, wide, interpolation=cv2.INTER_LINEAR))
    if picture is None:
        middle = axis.transAxes
        axis.text(0.5, 0.5, "no picture", ha="center", va="center", color=GREY, transform=middle)
    axis.set_title(above, fontsize=8.5, color=INK, pad=3)
    axis.text(
        0.5, -0.04, below, ha="center", va="top", fontsize=8, color=INK, transform=axis.transAxes
    )


def _chunks(axis: Axes, line: Line) -> None:
    """Of the joint that moves most."""
    joint = int(np.ptp(line.done, axis=0).argmax())
    times = line.dt_s * np.arange(len(line.done))
    weights = np.array([one.weight for one in line.columns])
    for one in line.columns:
        strength = 0.25 + 0.75 * one.weight / weights.max()
        axis.plot(times, one.told[:, joint], color=GREY, linewidth=1.0, alpha=strength)
    mean = np.einsum("k,kt->t", weights, np.stack([one.told[:, joint] for one in line.columns]))
    axis.plot(times, line.done[:, joint], color=DONE, linewidth=1.0, label="done")
    axis.plot(times, mean, color=TOLD, linewidth=1.4, label="told")
    plain(axis)
    axis.tick_params(labelsize=7)
    axis.set_title(f"{line.names[joint].replace('_', ' ')} (s)", fontsize=8.5, color=INK, pad=3)
