"""An mp4 in which several cameras are side by side, each with its name."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError

from aloha_stack.episodes.errors import EpisodeError

ENCODERS = ("libx264", "mpeg4")
"""By preference; ffmpeg builds without the former exist."""

COLUMNS = 2


class MosaicVideo:
    """Tiles of `height` x `width` px for `cameras`, `rate_hz` frames a second, as a context.

    show() changes the pictures, write() adds a frame of all. Raises EpisodeError if there is no
    encoder, OSError if the file cannot be written.
    """

    def __init__(
        self, path: Path, cameras: Sequence[str], height: int, width: int, rate_hz: int
    ) -> None:
        self._places = {camera: place for place, camera in enumerate(cameras)}
        self._height, self._width = height, width
        rows = -(-len(cameras) // COLUMNS)
        columns = min(len(cameras), COLUMNS)
        self._canvas = np.full((rows * height, columns * width, 3), 24, np.uint8)
        encoder = _encoder()
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        output: Any = self._container.add_stream(encoder, rate=Fraction(rate_hz))
        output.width = _even(self._canvas.shape[1])
        output.height = _even(self._canvas.shape[0])
        output.pix_fmt = "yuv420p"
        output.options = (
            {"crf": "23", "preset": "veryfast"} if encoder == "libx264" else {"q:v": "4"}
        )
        self._output = output

    def __enter__(self) -> "MosaicVideo":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._container.mux(self._output.encode(None))
        self._container.close()

    def show(self, camera: str, picture: np.ndarray) -> None:
        """The picture (h, w, 3) uint8 RGB of a camera, from the next frame on."""
        row, column = divmod(self._places[camera], COLUMNS)
        place = self._canvas[row * self._height :, column * self._width :]
        tile = place[: self._height, : self._width]
        tile[:] = _sized(picture, self._height, self._width)
        _label(tile, camera)

    def write(self) -> None:
        """A frame of what is shown now."""
        picture = self._canvas[: self._output.height, : self._output.width]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._container.mux(self._output.encode(frame))


def _encoder() -> str:
    for name in ENCODERS:
        try:
            av.Codec(name, "w")
        except UnknownCodecError:
            continue
        return name
    raise EpisodeError(
        f"this ffmpeg has no encoder for mp4 (looked for {', '.join(ENCODERS)}); install PyAV's "
        "own wheel: pip install --force-reinstall av"
    )


def _even(length: int) -> int:
    """yuv420p keeps one colour for 2 × 2 pixels, so both sides have to be even."""
    return length - length % 2


def _sized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _label(tile: np.ndarray, text: str) -> None:
    """Writes the camera's name into the corner, on a dark ground that any picture bears."""
    scale = tile.shape[1] / 640
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * scale, 1)
    pad = max(round(8 * scale), 2)
    corner = tile[: height + 2 * pad, : width + 2 * pad]
    corner[:] = (corner * 0.35).astype(np.uint8)
    cv2.putText(
        tile,
        text,
        (pad, height + pad),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.6 * scale,
        (255, 255, 255),
        1,
        cv2.LINE_AA,
    )
