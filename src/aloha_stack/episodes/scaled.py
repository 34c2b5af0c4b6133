"""Pictures decoded at the size that a policy sees: training and rollout both take them from here.

A JPEG is decoded at 1/2, 1/4 or 1/8 where that is still large enough (libjpeg's scaled DCT, which
averages), and shrunk by area the rest of the way. 480×640 to 240×320 needs no resizing.
"""

import cv2
import numpy as np

from aloha_stack.episodes.pictures import decode

Size = tuple[int, int]
"""Height and width, px."""

_REDUCED = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
    (1, cv2.IMREAD_COLOR),
)
# Start of frame of every kind of JPEG (ITU-T T.81, table B.1); c4, c8 and cc are other segments.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def decode_at(
    encoding: str,
    data: bytes,
    size: Size | None = None,
    native: Size | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """The picture at `size` (None: as it is), (height, width, 3) uint8 RGB.

    `encoding` as for `pictures.decode`. `native` is the picture's own size: raw ones need it, of a
    JPEG it is checked. `out`, contiguous and of the result's shape, takes the result. Raises
    ValueError for bytes that are no such picture, or one of another size than `native`.
    """
    if encoding != "jpeg":
        height, width = native or (0, 0)
        return _shrink(decode(encoding, data, width, height), size, out)
    found = jpeg_size(data)
    if native is not None and found != native:
        raise ValueError(f"it has {_words(found)} pixels instead of {_words(native)}")
    size = size or found
    flag = next(flag for part, flag in _REDUCED if part == 1 or _covers(found, size, part))
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if picture is None:
        raise ValueError(f"{len(data)} bytes that are no whole JPEG")
    return cv2.cvtColor(_shrink(picture, size), cv2.COLOR_BGR2RGB, dst=out)


def jpeg_size(data: bytes) -> Size:
    """Height and width from a JPEG's header. Raises ValueError if it has none."""
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _START_OF_FRAME:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(
                data[at + 7 : at + 9], "big"
            )
        if marker == 0xFF:  # a filling byte
            at += 1
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError(f"{len(data)} bytes that are no whole JPEG")


def _covers(native: Size, size: Size, part: int) -> bool:
    """Whether the picture is still as large as `size` at 1/`part`, which libjpeg rounds up."""
    return all(-(-have // part) >= need for have, need in zip(native, size, strict=True))


def _shrink(picture: np.ndarray, size: Size | None, out: np.ndarray | None = None) -> np.ndarray:
    if size is None or picture.shape[:2] == size:
        if out is None:
            return picture
        out[...] = picture
        return out
    return cv2.resize(picture, (size[1], size[0]), dst=out, interpolation=cv2.INTER_AREA)


def _words(size: Size) -> str:
    return f"{size[1]}×{size[0]}"
