"""Pictures of the panels, for the documents: taken of live data, small enough for a repository."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from python_qt_binding.QtCore import QObject, QTimer
from python_qt_binding.QtGui import QImage
from python_qt_binding.QtWidgets import QWidget

from rqt_aloha.board import Board
from rqt_aloha.views import Heard, View

LOOK_MS, SETTLED_S, PATIENCE_S = 500, 4.0, 60.0
"""How often to look whether everything is there; how long it must be; how long that may take."""
LIMIT_BYTES = 150_000
SHADES = (64, 32, 24, 16, 12, 8)
"""Steps a colour channel is cut to, until the file is small enough; panels without camera pictures
need none of it."""


class Photographer(QObject):
    """Takes DIR/panel_NAME.png of each panel, and DIR/panel.png of all, then calls `done`."""

    def __init__(self, board: Board, folder: Path, done: Callable[[], None]) -> None:
        super().__init__()
        self._board, self._folder, self._done = board, folder, done
        self.status = 1
        self._begun_s, self._whole_s = time.monotonic(), 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(LOOK_MS)

    def _look(self) -> None:
        now_s = time.monotonic()
        if not is_whole(self._board.view):
            self._whole_s = 0.0
        elif not self._whole_s:
            self._whole_s = now_s
        elif now_s - self._whole_s > SETTLED_S:
            self._take()
            return
        if now_s - self._begun_s > PATIENCE_S:
            self._timer.stop()
            print(
                f"no pictures: within {PATIENCE_S:.0f} s not all was heard; start a launch file "
                "with cameras in this ROS_DOMAIN_ID first",
                file=sys.stderr,
            )
            self._done()

    def _take(self) -> None:
        self._timer.stop()
        self._folder.mkdir(parents=True, exist_ok=True)
        whole: dict[str, QWidget] = {"panel": self._board}
        whole |= {f"panel_{name}": panel for name, panel in self._board.panels().items()}
        for name, widget in whole.items():
            path = self._folder / f"{name}.png"
            size = save_small(widget.grab().toImage(), path)
            print(f"{path}: {size / 1000:.0f} kB")
        self.status = 0
        self._done()


def is_whole(view: View) -> bool:
    """Whether safety, all arms and a camera are heard (a policy may use few of them), and in a
    rollout its chunks."""
    player = view.player.value
    parts: list[Heard[Any]] = [view.safety, *view.arms.values()]
    if player is not None and player.state != "IDLE":
        parts.append(view.chunk)
    seen = any(picture.value is not None for picture in view.pictures.values())
    return seen and all(part.value is not None for part in parts)


def save_small(image: QImage, path: Path) -> int:
    """Writes a PNG of at most LIMIT_BYTES; returns its size. Colours get coarser as needed."""
    rgb = image.convertToFormat(QImage.Format_RGB888)
    width, height = rgb.width(), rgb.height()
    bits = rgb.constBits()
    bits.setsize(rgb.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(height, rgb.bytesPerLine())
    pixels = rows[:, : 3 * width].reshape(height, width, 3)[:, :, ::-1]
    for shades in (256, *SHADES):
        step = 256 // shades
        coarse = np.minimum(np.rint(pixels / step) * step, 255).astype(np.uint8)
        done, data = cv2.imencode(".png", coarse, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if done and data.size <= LIMIT_BYTES:
            break
    path.write_bytes(data.tobytes())
    return int(data.size)
