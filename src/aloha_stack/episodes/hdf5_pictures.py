"""The pictures of an ALOHA HDF5 file, raw or JPEG (layout and colours: `hdf5_layout`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import cv2
import h5py
import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.hdf5_layout import IMAGES
from aloha_stack.episodes.picture_looks import JPEG_END
from aloha_stack.episodes.pictures import whole_jpeg
from aloha_stack.robot.joints import CAMERAS

MOST_UNNAMED = 6
"""Cameras whose lengths are looked for in any order."""


@dataclass(frozen=True)
class RawPictures:
    """(T, height, width, 3) uint8 RGB."""

    source: str
    data: h5py.Dataset

    @property
    def height(self) -> int:
        return int(self.data.shape[1])

    @property
    def width(self) -> int:
        return int(self.data.shape[2])

    @property
    def rate_hz(self) -> float | None:
        return None

    def rgb(self, step: int) -> np.ndarray:
        return read_rows(self.source, self.data, step)

    def jpeg(self, step: int) -> bytes | None:
        return None


@dataclass(frozen=True)
class JpegPictures:
    """(T, padded) uint8: JPEGs, `lengths` (T,) bytes of each count."""

    source: str
    data: h5py.Dataset
    lengths: np.ndarray
    exchanged: bool  # red and blue
    height: int = 0
    width: int = 0

    @property
    def rate_hz(self) -> float | None:
        return None

    def rgb(self, step: int) -> np.ndarray:
        data = self._bytes(step)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        if picture is None or (self.height and picture.shape[:2] != (self.height, self.width)):
            size = "no whole JPEG" if picture is None else f"{picture.shape[1]}×{picture.shape[0]}"
            wanted = f" of {self.width}×{self.height}" if self.height else ""
            raise EpisodeError(f"{self.source}: picture {step} is {size}; expected a JPEG{wanted}")
        return picture if self.exchanged else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def jpeg(self, step: int) -> bytes | None:
        if self.exchanged:
            return None
        data = self._bytes(step).tobytes()
        if not whole_jpeg(data):
            raise EpisodeError(f"{self.source}: picture {step} is no whole JPEG")
        return data

    def _bytes(self, step: int) -> np.ndarray:
        return read_rows(self.source, self.data, step)[: int(self.lengths[step])]


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """ALOHA's cameras in ALOHA's order, then the others."""
    known = {name: index for index, name in enumerate(CAMERAS)}
    return tuple(sorted(names, key=lambda name: (known.get(name, len(known)), name)))


def open_pictures(
    path: Path, data: object, name: str, lengths: np.ndarray | None, exchanged: bool
) -> RawPictures | JpegPictures:
    source = f"{path}: {IMAGES}/{name}"
    shape = data.shape if isinstance(data, h5py.Dataset) else None
    if not isinstance(data, h5py.Dataset) or data.dtype != np.uint8 or data.ndim not in (2, 4):
        raise EpisodeError(
            f"{source} is {getattr(data, 'dtype', 'a group')} {shape or ''}; expected uint8 "
            "(T, H, W, 3), or JPEGs (T, padded)"
        )
    if data.ndim == 4:
        if data.shape[3] != 3 or not data.size:
            raise EpisodeError(f"{source} is {shape}; expected (T, H, W, 3)")
        return RawPictures(source, data)
    if lengths is None:
        raise EpisodeError(
            f"{source} holds JPEGs, but /compress_len does not tell their lengths (cameras, T)"
        )
    if len(lengths) != len(data) or lengths.min() < 1 or lengths.max() > data.shape[1]:
        raise EpisodeError(
            f"{source} is {shape}, its lengths in /compress_len are {len(lengths)} from "
            f"{lengths.min()} to {lengths.max()}"
        )
    probe = JpegPictures(source, data, lengths, exchanged)
    height, width = probe.rgb(0).shape[:2]
    return replace(probe, height=height, width=width)


def jpeg_lengths(path: Path, file: h5py.File, cameras: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Of each camera's JPEGs, (T,) int64.

    Which row is whose the file does not say: recorders write them in the order of their
    configuration, readers take them in that of the alphabet. The first order that fits is taken:
    some JPEGs of each camera have to end where its row says.
    """
    data = file.get("/compress_len")
    if not isinstance(data, h5py.Dataset) or data.ndim != 2 or data.shape[0] != len(cameras):
        return {}
    rows = read_rows(f"{path}: /compress_len", data)
    if not rows.size or not np.isfinite(rows).all():
        raise EpisodeError(f"{path}: /compress_len holds no lengths (cameras, T): {data.shape}")
    rows = rows.astype(np.int64)
    fits = {name: _fitting(path, file[f"{IMAGES}/{name}"], rows) for name in cameras}
    usual = (tuple(sorted(cameras)), in_order(cameras))
    for order in (*usual, *(permutations(cameras) if len(cameras) <= MOST_UNNAMED else ())):
        if all(fits[name][row] for row, name in enumerate(order)):
            return dict(zip(order, rows, strict=True))
    raise EpisodeError(f"{path}: its JPEGs do not end where /compress_len says; was the file cut?")


def _fitting(path: Path, data: h5py.Dataset, rows: np.ndarray) -> list[bool]:
    """For each row, whether JPEGs of `data` end at its lengths: a mark, and padding behind it."""
    if data.ndim != 2 or len(data) != rows.shape[1]:
        return [False] * len(rows)
    fits = [True] * len(rows)
    for step in {0, len(data) // 2, len(data) - 1}:
        jpeg = read_rows(f"{path}: {data.name}", data, step)
        for row, length in enumerate(rows[:, step]):
            whole = 2 <= length <= len(jpeg) and not jpeg[length:].any()
            fits[row] &= whole and JPEG_END in jpeg[max(0, length - 64) : length].tobytes()
    return fits


def read_rows(source: str, data: h5py.Dataset, rows: object = ()) -> np.ndarray:
    try:
        return np.asarray(data[rows])
    except OSError as error:
        raise EpisodeError(f"{source} cannot be read: {error}; was the file cut off?") from error
