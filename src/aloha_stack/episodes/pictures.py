"""Pictures as they are kept, decoded to RGB and encoded from it."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from aloha_stack.episodes.picture_looks import JPEG_BEGIN, JPEG_END

_RAW: Mapping[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    # encoding of sensor_msgs/Image: bytes per pixel, (H, W, bytes) -> (H, W, 3) RGB
    "rgb8": (3, lambda pixels: pixels),
    "bgr8": (3, lambda pixels: pixels[:, :, ::-1]),
    "rgba8": (4, lambda pixels: pixels[:, :, :3]),
    "bgra8": (4, lambda pixels: pixels[:, :, 2::-1]),
    "mono8": (1, lambda pixels: np.repeat(pixels, 3, axis=2)),
    "yuyv": (2, lambda pixels: cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_YUYV)),
    "uyvy": (2, lambda pixels: cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_UYVY)),
}
_ALIASES = {
    "8uc1": "mono8",
    "8uc3": "bgr8",
    "yuv422_yuy2": "yuyv",
    "yuv422": "uyvy",
}
COMPRESSED = ("jpeg", "png")


def decode(encoding: str, data: bytes, width: int = 0, height: int = 0) -> np.ndarray:
    """The picture as (height, width, 3) uint8 RGB; width and height matter to raw ones only.

    Raises ValueError for an encoding that is not known, and for bytes that are no such picture.
    """
    if encoding in COMPRESSED:
        # An empty buffer is an assertion within OpenCV, and no None.
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if picture is None:
            raise ValueError(f"{len(data)} bytes that are no whole {encoding.upper()}")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    width_bytes, to_rgb = _raw(encoding)
    if len(data) != width * height * width_bytes:
        raise ValueError(
            f"{len(data)} bytes are no {encoding} picture of {width}×{height}, which has "
            f"{width * height * width_bytes}"
        )
    pixels = np.frombuffer(data, np.uint8).reshape(height, width, width_bytes)
    return np.ascontiguousarray(to_rgb(pixels))


def encode_jpeg(rgb: np.ndarray, quality: int) -> bytes:
    """JPEG of a picture (H, W, 3) uint8 RGB; quality 1-100."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of shape {rgb.shape} as JPEG")
    return bytes(data.tobytes())


def whole_jpeg(data: bytes) -> bool:
    """Whether there is the beginning and the end of a JPEG; cameras may put padding behind it."""
    return data.startswith(JPEG_BEGIN) and JPEG_END in data[-64:]


def bytes_per_pixel(encoding: str) -> int:
    """Of a raw encoding. Raises ValueError if it is not known."""
    return _raw(encoding)[0]


def _raw(encoding: str) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    name = encoding.lower()
    found = _RAW.get(_ALIASES.get(name, name))
    if found is None:
        raise ValueError(
            f"pictures of encoding {encoding!r} cannot be decoded; known are "
            f"{', '.join((*COMPRESSED, *_RAW))}"
        )
    return found
