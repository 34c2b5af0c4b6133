"""Random access to the pictures of an episode: where each lies in the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.picture_looks import FilePart, is_repeated, is_whole_jpeg
from aloha_stack.episodes.picture_table import PictureTable
from aloha_stack.episodes.pictures import COMPRESSED, bytes_per_pixel, decode
from aloha_stack.episodes.reader import Episode

UNCOMPRESS = (
    "write the bag anew without compression: mcap decompress IN.mcap -o OUT.mcap, or ros2 bag "
    "convert with compression_mode: '' and storage_preset_profile: none"
)


@dataclass(frozen=True)
class FrameIndex:
    """The n pictures of one camera, sorted by stamp. Small, and can be sent to other processes."""

    path: Path  # the MCAP file
    camera: str
    topic: str
    encoding: str  # "jpeg", "png", or raw: "rgb8", "bgr8", "mono8", "yuyv" …
    width: int  # px
    height: int  # px
    stamps_ns: np.ndarray  # (n,) int64, exposure
    offset: np.ndarray  # (n,) int64, of the picture's first byte in the file
    size: np.ndarray  # (n,) int64, its bytes
    repeats: np.ndarray | None = None  # (n,) bool, as PictureTable has it
    whole: np.ndarray | None = None  # (n,) bool, the same

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def picture(self, index: int) -> bytes:
        """Picture `index` as it was recorded: one read. Raises EpisodeError."""
        size = int(self.size[index])
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                data = os.pread(file, size, int(self.offset[index]))
            finally:
                os.close(file)
        except OSError as error:
            raise EpisodeError(f"{self.path} cannot be read: {error.strerror}") from error
        if len(data) != size:
            raise EpisodeError(
                f"{self.path} became shorter: picture {index} of {self.topic} is cut; read the "
                "episode again"
            )
        return data

    def rgb(self, index: int) -> np.ndarray:
        """Picture `index`, (height, width, 3) uint8 RGB. Raises EpisodeError, which names it."""
        try:
            picture = decode(self.encoding, self.picture(index), self.width, self.height)
        except ValueError as error:
            raise EpisodeError(
                f"{self.path}: picture {index} of {self.topic} is damaged: {error}"
            ) from error
        if self.width and picture.shape[:2] != (self.height, self.width):
            raise EpisodeError(
                f"{self.path}: picture {index} of {self.topic} has "
                f"{picture.shape[1]}×{picture.shape[0]} pixels, the first has "
                f"{self.width}×{self.height}; one camera has to keep to its size"
            )
        return picture

    def repeated(self) -> np.ndarray:
        """(n,) bool: whether a picture is, byte for byte, the one before it (`picture_looks`).

        Reads what it needs to of the pictures, unless they were looked at as they were recorded.
        """
        if self.repeats is not None:
            return self.repeats
        repeated = np.zeros(len(self), bool)
        with self._parts() as parts:
            for index, (before, picture) in enumerate(pairwise(parts), start=1):
                repeated[index] = is_repeated(before, picture, self.encoding)
        return repeated

    def broken(self) -> np.ndarray:
        """(n,) bool: whether a picture is not whole: a JPEG without its begin or its end, as a
        camera leaves on a bad cable, or a raw one of another size. Nothing is decoded.
        """
        if self.encoding not in COMPRESSED:
            return self.size != self.width * self.height * bytes_per_pixel(self.encoding)
        if self.encoding != "jpeg":
            return np.zeros(len(self), bool)
        if self.whole is not None:
            return ~self.whole
        with self._parts() as parts:
            return np.array([not is_whole_jpeg(picture) for picture in parts], bool)

    @contextmanager
    def _parts(self) -> Iterator[Iterator[FilePart]]:
        """The pictures in the open file."""
        file = os.open(self.path, os.O_RDONLY)
        try:
            places = zip(self.offset.tolist(), self.size.tolist(), strict=True)
            yield (FilePart(file, offset, size) for offset, size in places)
        finally:
            os.close(file)


def frame_indexes(episode: Episode) -> dict[str, FrameIndex]:
    """The cameras that pictures came of, by name, the known cameras first.

    Raises EpisodeError where pictures cannot be reached one by one (compressed chunks, a bag of
    several files) or are of no known encoding.
    """
    tables = episode.contents().pictures
    return {
        camera: _index(episode, camera, tables[topic])
        for camera, topic in episode.camera_topics.items()
        if topic in tables and len(tables[topic].stamps_ns)
    }


def _index(episode: Episode, camera: str, table: PictureTable) -> FrameIndex:
    if table.file is None:
        raise EpisodeError(
            f"{episode.path}: the pictures of {table.topic} lie in several files; merge them: ros2 "
            "bag convert, or mcap merge"
        )
    if (table.offset < 0).any():
        raise EpisodeError(
            f"{table.file}: the pictures of {table.topic} lie in compressed chunks, where they "
            f"cannot be read one by one; {UNCOMPRESS}"
        )
    form = table.format
    index = FrameIndex(
        table.file,
        camera,
        table.topic,
        form.encoding,
        form.width,
        form.height,
        table.stamps_ns,
        table.offset,
        table.size,
        table.repeats,
        table.whole,
    )
    if form.encoding in COMPRESSED:
        height, width = index.rgb(0).shape[:2]
        return FrameIndex(**{**vars(index), "width": width, "height": height})
    try:
        row_bytes = form.width * bytes_per_pixel(form.encoding)
    except ValueError as error:
        raise EpisodeError(f"{table.file}: {table.topic}: {error}") from error
    if form.row_bytes != row_bytes:
        raise EpisodeError(
            f"{table.file}: the rows of {table.topic} have {form.row_bytes} bytes, "
            f"{form.width} pixels of {form.encoding} have {row_bytes}; padded pictures are not "
            "supported: publish them without padding, or compressed"
        )
    return index
