"""The few bytes of a serialised message that the recorder looks at.

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
