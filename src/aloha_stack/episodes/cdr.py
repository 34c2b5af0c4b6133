"""The bytes of a serialised message, read without a generic decoder.

A serialised ROS 2 message starts with the four-byte CDR encapsulation header of the DDS-XTypes
specification (byte 1: 0 big endian, 1 little endian; 2 further bytes of options) and goes on with
the first field. In a message that starts with std_msgs/Header these are the stamp's
int32 seconds and uint32 nanoseconds.
"""

import struct

HEADER_BYTES = 4
HEADER_TYPE_FIELD = "std_msgs/Header"


def stamp_ns(data: bytes | memoryview) -> int:
    """The header stamp of a serialised message that starts with std_msgs/Header, in ns.

    Raises ValueError if the bytes are too few to hold one.
    """
    if len(data) < HEADER_BYTES + 8:
        raise ValueError(
            f"a message of {len(data)} bytes is too short to start with a std_msgs/Header "
            f"({HEADER_BYTES + 8} bytes or more); was it cut, or is its type without a header?"
        )
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, HEADER_BYTES)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


class CdrReader:
    """Reads the fields of a serialised message one after the other. Raises ValueError.

    `fixed` are the parts that were read: messages that have the same bytes there have the same
    layout. (Between them lies padding, which holds whatever was in the sender's memory.)
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < HEADER_BYTES or data[0] != 0 or data[1] not in (0, 1):
            raise ValueError(
                f"it begins with {data[:HEADER_BYTES].hex(' ') or 'nothing'}; expected the "
                "encapsulation of plain CDR, 00 00 or 00 01"
            )
        self.data = data
        self.order = "<" if data[1] else ">"
        self.position = HEADER_BYTES
        self.fixed = [slice(0, HEADER_BYTES)]

    def skip(self, count: int) -> int:
        """Where `count` bytes begin that are passed over."""
        begin = self.position
        if begin + count > len(self.data):
            raise ValueError(f"{count} bytes from byte {begin} are beyond its {len(self.data)}")
        self.position = begin + count
        return begin

    def unsigned(self) -> int:
        """A uint32."""
        self.align(4)
        begin = self.skip(4)
        self.fixed.append(slice(begin, self.position))
        return int(struct.unpack_from(f"{self.order}I", self.data, begin)[0])

    def count(self, smallest: int) -> int:
        """The length of a sequence whose items have `smallest` bytes or more."""
        count = self.unsigned()
        if count * smallest > len(self.data) - self.position:
            raise ValueError(f"{count} items from byte {self.position} do not fit into it")
        return count

    def string(self) -> str:
        """A text; its length counts the zero at its end."""
        length = self.unsigned()
        begin = self.skip(length)
        self.fixed.append(slice(begin, self.position))
        return self.data[begin : begin + max(length - 1, 0)].decode()

    def doubles(self, count: int) -> int:
        """Where `count` float64 begin that are passed over."""
        self.align(8)
        return self.skip(8 * count)

    def align(self, width: int) -> None:
        """Goes on to the next multiple of `width`."""
        self.position += -(self.position - HEADER_BYTES) % width
