"""Where the pictures of a camera lie in a file, from the heads of its messages."""

import struct
from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aloha_stack.episodes.cdr import HEADER_BYTES, CdrReader
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.picture_looks import MessagePart, is_repeated, is_whole_jpeg

COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
IMAGE = "sensor_msgs/msg/Image"
IMAGE_TYPES = (COMPRESSED_IMAGE, IMAGE)

NUMBERS = ("stamps_ns", "offset", "size")
LOOKS = ("repeats", "whole")
_UNSEEN = -1


@dataclass(frozen=True)
class PictureFormat:
    """How a picture is kept. Of compressed ones width and height are not known before decoding."""

    encoding: str  # "jpeg", "png" …, or of raw pictures "rgb8" …
    width: int = 0
    height: int = 0
    row_bytes: int = 0


@dataclass(frozen=True)
class PictureTable:
    """The n pictures of one topic in the order of their stamps."""

    topic: str
    file: Path | None  # None where no picture came, or they lie in several files
    format: PictureFormat
    stamps_ns: np.ndarray  # (n,) int64, exposure
    offset: np.ndarray  # (n,) int64, -1 in a compressed chunk
    size: np.ndarray  # (n,) int64, bytes of the picture itself
    repeats: np.ndarray | None = None  # (n,) bool, the one before; None: nobody has looked
    whole: np.ndarray | None = None  # (n,) bool, begins and ends as a JPEG; None as above


def picture_table(
    topic: str,
    files: Collection[Path],
    form: PictureFormat | None,
    columns: Mapping[str, np.ndarray],
) -> PictureTable:
    """Of what PictureColumns took, sorted by stamp."""
    stamps, offset, size = (columns.get(name, np.zeros(0, np.int64)) for name in NUMBERS)
    repeats, whole = (columns.get(name, np.zeros(0, np.int8)) for name in LOOKS)
    in_order = bool((np.diff(stamps) >= 0).all())
    order = np.argsort(stamps, kind="stable")
    # Which one is before it was seen in the order of arrival.
    looked_at = in_order and not (repeats == _UNSEEN).any()
    return PictureTable(
        topic,
        next(iter(files)) if len(files) == 1 else None,
        form or PictureFormat(""),
        stamps[order],
        offset[order],
        size[order],
        repeats.astype(bool) if looked_at else None,
        whole.astype(bool) if looked_at else None,
    )


class PictureColumns:
    """Collects the messages of one image topic: NUMBERS, and of those that are there as a whole,
    LOOKS: how they look beside the one before."""

    def __init__(self, topic: str, type_name: str) -> None:
        self.topic, self._type = topic, type_name
        self.files: set[Path] = set()
        self.format: PictureFormat | None = None
        self._numbers = {name: array("q") for name in NUMBERS}
        self._looks = {name: array("b") for name in LOOKS}
        self._before: MessagePart | None = None  # the picture before
        self._fixed: list[tuple[slice, bytes]] = []  # what is the same in all messages
        self._length_at = 0
        self._stamp, self._length = struct.Struct("<iI"), struct.Struct("<I")

    def add(self, file: Path, offset: int, size: int, head: bytes) -> int:
        """Takes a message by its head, or as a whole; returns its stamp in ns.

        Raises EpisodeError if it is none, or changes its format.
        """
        if not self._fixed or any(head[part] != known for part, known in self._fixed):
            self._learn(head)
        seconds, nanoseconds = self._stamp.unpack_from(head, HEADER_BYTES)
        start = self._length_at + 4
        (length,) = self._length.unpack_from(head, self._length_at) if len(head) >= start else (-1,)
        if length < 0 or start + length > size:
            raise EpisodeError(
                f"a message of {self.topic} does not fit its type {self._type}: its picture is "
                "longer than the message"
            )
        stamp = int(seconds) * 1_000_000_000 + int(nanoseconds)
        place = offset + start if offset >= 0 else -1
        for column, value in zip(self._numbers.values(), (stamp, place, length), strict=True):
            column.append(value)
        self._look(MessagePart(head, start, length) if len(head) == size else None)
        self.files.add(file)
        return stamp

    def take(self) -> dict[str, np.ndarray]:
        """NUMBERS (n,) int64 and LOOKS (n,) int8 of the messages since the last time."""
        found = {name: np.array(column, np.int64) for name, column in self._numbers.items()}
        found |= {name: np.array(column, np.int8) for name, column in self._looks.items()}
        for column in (*self._numbers.values(), *self._looks.values()):
            del column[:]
        return found

    def _look(self, picture: MessagePart | None) -> None:
        """How a picture looks that is here as a whole; None is one that is not."""
        repeats = whole = _UNSEEN
        if picture is not None:
            encoding = self.format.encoding if self.format is not None else ""
            whole = encoding != "jpeg" or is_whole_jpeg(picture)
            if self._before is not None:
                repeats = is_repeated(self._before, picture, encoding)
            elif len(self.files) == 0:
                repeats = False
        self._before = picture
        self._looks["repeats"].append(repeats)
        self._looks["whole"].append(whole)

    def _learn(self, head: bytes) -> None:
        try:
            reader = CdrReader(head)
            reader.skip(8)  # the stamp
            reader.string()  # the frame
            found = self._raw(reader) if self._type == IMAGE else _compressed(reader)
            fixed = [(part, head[part]) for part in reader.fixed]
            reader.unsigned()  # the picture's length
        except ValueError as error:
            raise EpisodeError(
                f"a message of {self.topic} does not fit its type {self._type}: {error}"
            ) from error
        if self.format is not None and found != self.format:
            raise EpisodeError(
                f"{self.topic} changes its pictures from {self.format} to {found}; one camera has "
                "to keep to its size and encoding"
            )
        self.format = found
        self._fixed, self._length_at = fixed, reader.position - 4
        self._stamp = struct.Struct(f"{reader.order}iI")
        self._length = struct.Struct(f"{reader.order}I")

    def _raw(self, reader: CdrReader) -> PictureFormat:
        height, width, encoding = reader.unsigned(), reader.unsigned(), reader.string()
        reader.skip(1)  # is_bigendian
        return PictureFormat(encoding, width, height, reader.unsigned())


def _compressed(reader: CdrReader) -> PictureFormat:
    """The format text of image_transport: "jpeg", or "rgb8; jpeg compressed bgr8"."""
    text = reader.string()
    words = text.split(";")[-1].split()
    kind = words[0].lower() if words else "jpeg"
    return PictureFormat({"jpg": "jpeg"}.get(kind, kind))
