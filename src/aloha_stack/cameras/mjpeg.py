"""A UVC camera's image as a JPEG that everybody can read, or the reason why it is none.

Such cameras pad images behind their end, lose the end when the bus is full, and often leave out the
Huffman tables (the abbreviated format of motion JPEG). Segments: ITU-T T.81, Annex B.
"""

import numpy as np

from aloha_stack.cameras.huffman import SEGMENT

_SOI = b"\xff\xd8"
_DHT, _SOS, _EOI = 0xC4, 0xDA, 0xD9
_FRAMES = range(0xC0, 0xD0)
_NO_FRAMES = (_DHT, 0xC8, 0xCC)
_BASELINE = (0xC0, 0xC1)


class DamagedJpegError(ValueError):
    """The bytes are no whole JPEG. The message says what is missing or wrong."""


def whole_jpeg(data: bytes, width: int, height: int) -> bytes:
    """`data` cut behind its end, with Huffman tables if it had none; otherwise untouched.

    Raises DamagedJpegError if it is not a baseline JPEG of this size with a beginning and an end.
    What is lost within the picture shows only when it is decoded.
    """
    if not data:
        raise DamagedJpegError("an empty image")
    if not data.startswith(_SOI):
        raise DamagedJpegError(f"begins with {data[:2].hex(' ')}, not with ff d8")
    scan, has_tables = _header(data, width, height)
    end = _end(data, scan)
    if not has_tables:
        return data[:scan] + SEGMENT + data[scan:end]
    return data if end == len(data) else data[:end]


def _end(data: bytes, scan: int) -> int:
    """Where the JPEG ends whose only scan begins at `scan`.

    Within a scan ff is followed by 00, or by a restart marker (d0 … d7).
    """
    scanned = np.frombuffer(data, np.uint8)[scan + 2 :]
    behind_ff = np.flatnonzero(scanned[:-1] == 0xFF) + 1
    after = scanned[behind_ff]
    markers = behind_ff[(after != 0) & (after != 0xFF) & ((after & 0xF8) != 0xD0)]
    if not len(markers):
        raise DamagedJpegError(f"{len(data)} bytes without an end (ff d9): truncated")
    marker = int(scanned[markers[0]])
    if marker != _EOI:
        raise DamagedJpegError(f"ff {marker:02x} within the picture: bytes are missing before it")
    return scan + 2 + int(markers[0]) + 1


def _header(data: bytes, width: int, height: int) -> tuple[int, bool]:
    """Where the scan (its SOS marker) begins, and whether Huffman tables stand before it."""
    at, has_tables, sized = len(_SOI), False, False
    while True:
        # Any number of ff may stand before a marker.
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if at + 4 > len(data) or data[at] != 0xFF:
            raise DamagedJpegError(f"no segment at byte {at} of {len(data)}")
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if at + 2 + length > len(data):
            raise DamagedJpegError(f"{len(data)} bytes end within segment ff {marker:02x}")
        if marker == _SOS:
            if not sized:
                raise DamagedJpegError("no size (SOF) before the picture")
            return at, has_tables
        if marker == _DHT:
            has_tables = True
        elif marker in _FRAMES and marker not in _NO_FRAMES:
            _check_frame(data[at + 4 : at + 2 + length], marker, width, height)
            sized = True
        at += 2 + length


def _check_frame(frame: bytes, marker: int, width: int, height: int) -> None:
    if marker not in _BASELINE:
        raise DamagedJpegError(f"no baseline JPEG (SOF marker ff {marker:02x})")
    size = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
    if size != (width, height):
        raise DamagedJpegError(f"{size[0]}x{size[1]} pixels, not {width}x{height}")
