"""Serialises messages without ROS (layout: see `cdr`): joint states and pictures."""

import struct
from collections.abc import Sequence

from aloha_stack.episodes.cdr import HEADER_BYTES

NS = 1_000_000_000


def joint_state(
    stamp_ns: int,
    names: Sequence[str],
    position: Sequence[float],
    velocity: Sequence[float] = (),
    effort: Sequence[float] = (),
) -> bytes:
    """A sensor_msgs/JointState; velocity and effort may be empty."""
    out = CdrWriter()
    out.header(stamp_ns)
    out.unsigned(len(names))
    for name in names:
        out.string(name)
    for values in (position, velocity, effort):
        out.doubles(values)
    return bytes(out.data)


def compressed_image(stamp_ns: int, frame_id: str, picture: bytes) -> bytes:
    """A sensor_msgs/CompressedImage of a JPEG, its format as image_transport names it."""
    out = CdrWriter()
    out.header(stamp_ns, frame_id)
    out.string("rgb8; jpeg compressed bgr8")
    out.unsigned(len(picture))
    out.data += picture
    return bytes(out.data)


class CdrWriter:
    """Little endian, plain CDR."""

    def __init__(self) -> None:
        self.data = bytearray(b"\x00\x01\x00\x00")

    def align(self, width: int) -> None:
        self.data += bytes(-(len(self.data) - HEADER_BYTES) % width)

    def header(self, stamp_ns: int, frame_id: str = "") -> None:
        seconds, nanoseconds = divmod(stamp_ns, NS)
        self.data += struct.pack("<iI", seconds, nanoseconds)
        self.string(frame_id)

    def unsigned(self, value: int) -> None:
        self.align(4)
        self.data += struct.pack("<I", value)

    def byte(self, value: int) -> None:
        """A uint8 or a bool."""
        self.data.append(value)

    def number(self, kind: str, value: float) -> None:
        """One number; `kind` as struct names it: i and I (4 bytes), q, Q and d (8 bytes)."""
        self.align(struct.calcsize(kind))
        self.data += struct.pack(f"<{kind}", value)

    def string(self, text: str) -> None:
        coded = text.encode() + b"\0"
        self.unsigned(len(coded))
        self.data += coded

    def doubles(self, values: Sequence[float]) -> None:
        """A sequence of float64 (an array of fixed length is `array`)."""
        self.unsigned(len(values))
        if len(values):
            self.array(values)

    def array(self, values: Sequence[float]) -> None:
        """Float64 without their count."""
        self.align(8)
        self.data += struct.pack(f"<{len(values)}d", *values)
