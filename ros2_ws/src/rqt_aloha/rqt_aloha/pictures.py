"""A camera's JPEG as a small picture for the screen: most of its work is never done."""

from collections.abc import Iterable

import cv2
import numpy as np
from python_qt_binding.QtGui import QImage

REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
"""The decoder leaves out frequencies: a half, a quarter, an eighth of width and height."""

RAW = {"rgb8": 3, "bgr8": 3, "mono8": 1}
"""Encodings of drivers that send no JPEG, and bytes of a pixel."""


ENOUGH = 0.6
"""Of the width on the screen: a picture of so much is drawn larger, and looks well."""


def reduction(width: int, shown: int) -> int:
    """The largest of REDUCED whose picture is wide enough for where it is shown (px)."""
    return max(one for one in REDUCED if one == 1 or width // one >= ENOUGH * shown)


def from_jpeg(data: Iterable[int], factor: int) -> QImage | None:
    """A picture of 1/factor in both directions; None if the bytes are no picture."""
    array = np.frombuffer(data, np.uint8)  # type: ignore[call-overload]
    if not array.size:
        return None
    bgr = cv2.imdecode(array, REDUCED[factor])
    return None if bgr is None else _image(bgr, QImage.Format_BGR888)


def from_raw(
    data: Iterable[int], encoding: str, width: int, height: int, step: int, factor: int
) -> QImage | None:
    """Every factor-th pixel of an uncompressed picture; None if it cannot be shown."""
    channels = RAW.get(encoding)
    array = np.frombuffer(data, np.uint8)  # type: ignore[call-overload]
    if channels is None or width < 1 or step < width * channels or array.size < step * height:
        return None
    rows = array[: step * height].reshape(height, step)[:, : width * channels]
    small = rows.reshape(height, width, channels)[::factor, ::factor]
    formats = {
        "rgb8": QImage.Format_RGB888,
        "bgr8": QImage.Format_BGR888,
        "mono8": QImage.Format_Grayscale8,
    }
    return _image(small, formats[encoding])


def _image(pixels: np.ndarray, kind: int) -> QImage:
    height, width, channels = pixels.shape
    whole = np.ascontiguousarray(pixels)
    # copy(): QImage does not keep the bytes alive that it is made of.
    return QImage(whole.data, width, height, width * channels, kind).copy()
