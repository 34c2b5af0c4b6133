"""The pictures of `./aloha analyse offline`: joints over time, and a film of what is seen."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from aloha_stack.analyses.figure_style import figure, saved, titled
from aloha_stack.analyses.recurrent_subject import Seen, Subject, Trace
from aloha_stack.analysis.mosaic_video import MosaicVideo
from aloha_stack.analysis.plots import INK, plain

TILE = 320
"""Height of a picture in the film, px."""
SEEN, TOLD = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's blue and vermillion
LOOK = {"measured": ("#9aa5b1", 2.4), "commanded": ("#3c4043", 1.0), "told": ("#D55E00", 1.3)}
"""Colour and width of each line."""
COLUMNS = 2


def draw_joints(seen: Seen, told: np.ndarray, names: Sequence[str], path: Path) -> Path:
    """A panel a joint; what was told at a step stands at the step that it is told of."""
    rows = -(-len(names) // COLUMNS)
    made = figure(12.5, 0.95 + 1.75 * rows)
    panels = made.subplots(rows, COLUMNS, sharex=True, squeeze=False)
    for number, axis in enumerate(panels.T.flatten()):
        if number >= len(names):
            axis.axis("off")
            continue
        lines = {"measured": seen.joints, "commanded": seen.commands}
        for label, values in lines.items():
            _line(axis, seen.times_s, values[:, number], label)
        _line(axis, seen.times_s[1:], told[:-1, number], "told")
        plain(axis)
        axis.set_ylabel(names[number].replace("_", " "), fontsize=9, color=INK)
    for column in range(COLUMNS):
        lowest = panels.T.flatten()[min(rows * (column + 1), len(names)) - 1]
        lowest.set_xlabel("time (s)", fontsize=10, color=INK)
        lowest.tick_params(labelbottom=True)
    handles, labels = panels[0][0].get_legend_handles_labels()
    made.legend(handles, labels, loc="upper right", ncols=3, frameon=False, labelcolor=INK)
    height = made.get_size_inches()[1]
    made.subplots_adjust(0.075, 0.5 / height, 0.985, 1 - 0.75 / height, wspace=0.16, hspace=0.16)
    titled(made, f"{seen.path.name}: the next joints", "rad; of the gripper 0 closed, 1 open")
    return saved(made, path)


def _line(axis: Axes, times_s: np.ndarray, values: np.ndarray, label: str) -> None:
    colour, width = LOOK[label]
    axis.plot(times_s, values, color=colour, linewidth=width, label=label)


def write_film(subject: Subject, seen: Seen, trace: Trace, path: Path) -> Path:
    """An mp4: what is seen with its points (circles: in this picture, crosses: those told of the
    next one), and where it is told the next picture. Raises EpisodeError, OSError."""
    predicted, config = trace.predicted, subject.network.config
    height, width = seen.pictures.shape[1:3]
    scale = TILE / height
    size = (round(width * scale), TILE)
    tiles = ["seen"] + (["told of the next step"] if predicted.image is not None else [])
    with MosaicVideo(path, tiles, size[1], size[0], round(subject.spec.rate_hz)) as video:
        for step, picture in enumerate(seen.pictures):
            shown = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
            places = predicted.encoded_points
            if places is not None:
                for x, y in subject.pixels(places[step], (height, width)) * scale:
                    cv2.circle(shown, (round(x), round(y)), 6, SEEN, 2, cv2.LINE_AA)
            if predicted.points is not None:
                for x, y in subject.pixels(predicted.points[step], (height, width)) * scale:
                    _cross(shown, round(x), round(y))
            video.show(tiles[0], shown)
            if predicted.image is not None:
                told = as_picture(predicted.image[step], config.value_range, config.bgr)
                video.show(tiles[1], cv2.resize(told, size, interpolation=cv2.INTER_NEAREST))
            video.write()
    return path


def as_picture(image: Tensor, value_range: tuple[float, float], bgr: bool) -> np.ndarray:
    """(3, H, W) in the network's range to RGB (H, W, 3) uint8; the reverse of `as_input`."""
    first, last = value_range
    shares = ((image - first) / (last - first)).clamp(0, 1)
    picture = (255 * shares).round().byte().movedim(0, -1).numpy()
    return np.ascontiguousarray(picture[..., ::-1] if bgr else picture)


def _cross(picture: np.ndarray, x: int, y: int) -> None:
    cv2.drawMarker(picture, (x, y), TOLD, cv2.MARKER_TILTED_CROSS, 12, 2, cv2.LINE_AA)
