"""Where the pictures of a camera lie in a file, from the heads of its messages."""

import struct
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aloha_stack.episodes.cdr import HEADER_BYTES, CdrReader
from aloha_stack.episodes.errors import EpisodeError

COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
IMAGE = "sensor_msgs/msg/Image"
IMAGE_TYPES = (COMPRESSED_IMAGE, IMAGE)


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


class PictureColumns:
    """Collects the messages of one image topic."""

    def __init__(self, topic: str, type_name: str) -> None:
        self.topic, self._type = topic, type_name
        self._stamps, self._offsets, self._sizes = array("q"), array("q"), array("q")
        self._files: set[Path] = set()
        self._format: PictureFormat | None = None
        self._fixed: list[tuple[slice, bytes]] = []  # what is the same in all messages
        self._length_at = 0
        self._stamp, self._length = struct.Struct("<iI"), struct.Struct("<I")

    def add(self, file: Path, offset: int, size: int, head: bytes) -> None:
        """Takes a message by its head. Raises EpisodeError if it is none, or changes its format."""
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
        self._files.add(file)
        self._stamps.append(seconds * 1_000_000_000 + nanoseconds)
        self._offsets.append(offset + start if offset >= 0 else -1)
        self._sizes.append(length)

    @property
    def stamps_ns(self) -> np.ndarray:
        """Exposures (n,) int64, in the order of the file."""
        return np.array(self._stamps, np.int64)

    def table(self) -> PictureTable:
        """All that was added, sorted by stamp."""
        stamps = self.stamps_ns
        order = np.argsort(stamps, kind="stable")
        return PictureTable(
            self.topic,
            next(iter(self._files)) if len(self._files) == 1 else None,
            self._format or PictureFormat(""),
            stamps[order],
            np.array(self._offsets, np.int64)[order],
            np.array(self._sizes, np.int64)[order],
        )

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
        if self._format is not None and found != self._format:
            raise EpisodeError(
                f"{self.topic} changes its pictures from {self._format} to {found}; one camera has "
                "to keep to its size and encoding"
            )
        self._format = found
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
