"""Whether a picture is whole, and whether it is the one before, without decoding it."""

import os
from typing import Protocol

JPEG_BEGIN, JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PART = 16 << 10


class Readable(Protocol):
    """The bytes of a picture, of which only what is needed is taken."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class MessagePart:
    """`size` bytes from `offset` on of a message."""

    def __init__(self, message: bytes, offset: int, size: int) -> None:
        self._message, self._offset, self._size = message, offset, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self._size)
        return self._message[self._offset + begin : self._offset + end]


class FilePart:
    """`size` bytes from `offset` on of an open file."""

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self._descriptor, self._offset, self._size = descriptor, offset, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self._size)
        return os.pread(self._descriptor, max(end - begin, 0), self._offset + begin)


def picture_bytes(picture: Readable, encoding: str) -> int:
    """How many of the bytes belong to it: cameras fill up with zeros behind a JPEG."""
    if encoding != "jpeg" or picture[-1:] != b"\0":
        return len(picture)
    return len(picture[:].rstrip(b"\0"))


def is_repeated(before: Readable, picture: Readable, encoding: str) -> bool:
    """Whether they are the same, byte for byte; filling is no part of them."""
    size = picture_bytes(picture, encoding)
    return picture_bytes(before, encoding) == size and all(
        before[begin : min(begin + _PART, size)] == picture[begin : min(begin + _PART, size)]
        for begin in range(0, size, _PART)
    )


def is_whole_jpeg(picture: Readable) -> bool:
    """Whether it begins and ends with JPEG's markers: a bad cable leaves some that do not."""
    if len(picture) < 4 or picture[:2] != JPEG_BEGIN:
        return False
    return picture[-2:] == JPEG_END or picture[:].rstrip(b"\0").endswith(JPEG_END)
