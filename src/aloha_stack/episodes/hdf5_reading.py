"""Episodes as ALOHA keeps them (HDF5), checked before they are used.

/action, /observations/qpos, qvel and effort (T, 14); /observations/images/{camera} (T, H, W, 3)
uint8 RGB, or JPEG bytes (T, padded) with their lengths in /compress_len (cameras, T). So write the
record_episodes.py of tonyzhaozh/aloha (raw), MarkFzp/mobile-aloha, Interbotix/aloha (compressed).

The colours of compressed pictures: those recorders hand RGB arrays to cv2.imencode, which takes
them for BGR. In their JPEGs red and blue are exchanged, and cv2.imdecode gives RGB back. A file of
ours holds the camera's own JPEGs, whose colours are right, and says so: JPEG_COLOURS. A file that
says nothing is taken for one of theirs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import cv2
import h5py
import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.steps import EpisodeSteps, Pictures, Resized, chosen_cameras
from aloha_stack.robot.joints import CAMERAS

JPEG_COLOURS = "jpeg_colours"
"""Attribute of a compressed file: TRUE or EXCHANGED."""
TRUE, EXCHANGED = "true", "exchanged"

IMAGES = "/observations/images"
STEP_NS = "/observations/step_ns"  # (T,) int64
CAPTURE_NS = "/observations/capture_ns"  # (T, cameras) int64, exposure; names in `columns`
JOINT_AGE_NS = "/observations/joint_age_ns"  # (T, topics) int64; names in `columns`
COLUMNS = "columns"
"""What ours has beside ALOHA's: when things really happened. Other readers pass over it."""

_NUMBERS = ("/action", "/observations/qpos", "/observations/qvel", "/observations/effort")
MOST_UNNAMED = 6
"""Cameras whose lengths are looked for in any order."""

NS = 1_000_000_000
_JPEG_END = b"\xff\xd9"


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
        return _read(self.source, self.data, step)

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
        return None if self.exchanged else self._bytes(step).tobytes()

    def _bytes(self, step: int) -> np.ndarray:
        return _read(self.source, self.data, step)[: int(self.lengths[step])]


def hdf5_steps(
    path: Path,
    fps: int,
    cameras: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    task: str = "",
    colours: str = "",
) -> Iterator[EpisodeSteps]:
    """The one episode in the file, readable until the next is asked for; opened to read only.

    `fps` is taken where the file does not tell its own; `colours`, TRUE or EXCHANGED, overrules
    what it says of its JPEGs. Raises EpisodeError for whatever is not as it should be.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise EpisodeError(
            f"{path} cannot be read as HDF5: {error}; was it cut off, or is it no HDF5 file?"
        ) from error
    with file:
        try:
            steps = _steps(path, file, fps, cameras, size, task, colours)
        except (KeyError, OSError, RuntimeError, ValueError) as error:  # h5py: damage within
            raise EpisodeError(f"{path} is damaged: {error}; copy it again") from error
        yield steps


def _steps(
    path: Path,
    file: h5py.File,
    fps: int,
    wanted: Sequence[str] | None,
    size: tuple[int, int] | None,
    task: str,
    colours: str,
) -> EpisodeSteps:
    numbers = {name: _numbers(path, file, name) for name in _NUMBERS}
    action, state = numbers["/action"], numbers["/observations/qpos"]
    if action is None or state is None:
        raise EpisodeError(f"{path} has no /action or /observations/qpos (T, 14): no ALOHA episode")
    count = len(action)
    images = file.get(IMAGES)
    available = tuple(images) if isinstance(images, h5py.Group) else ()
    names = chosen_cameras(_in_order(available), wanted, str(path))
    lengths = _lengths(path, file, available)
    exchanged = (colours or str(file.attrs.get(JPEG_COLOURS, EXCHANGED))) == EXCHANGED
    pictures = {}
    for name in names:
        found = _pictures(path, file[f"{IMAGES}/{name}"], name, lengths.get(name), exchanged)
        pictures[name] = found
        if len(found.data) != count:
            raise EpisodeError(
                f"{path}: {IMAGES}/{name} has {len(found.data)} pictures, /action has {count} rows"
            )
    for name, values in numbers.items():
        if values is not None and len(values) != count:
            raise EpisodeError(f"{path}: {name} has {len(values)} rows, /action has {count}")
    own_fps = file.attrs.get("fps", fps)
    time_ns = _times(path, file, count)
    used: dict[str, Pictures] = {n: Resized(p, *size) if size else p for n, p in pictures.items()}
    capture = _columns(file, CAPTURE_NS, count)
    return EpisodeSteps(
        source=str(path),
        task=task or str(file.attrs.get("task", "")),
        robot=str(file.attrs.get("robot", "")),
        fps=int(own_fps),
        time_ns=time_ns if time_ns is not None else _even(count, int(own_fps)),
        state=state,
        action=action,
        velocity=numbers["/observations/qvel"],
        effort=numbers["/observations/effort"],
        cameras=used,
        capture_ns={name: capture[name] for name in names if name in capture},
        joint_age_ns=_columns(file, JOINT_AGE_NS, count),
    )


def _read(source: str, data: h5py.Dataset, rows: object = ()) -> np.ndarray:
    try:
        return np.asarray(data[rows])
    except OSError as error:
        raise EpisodeError(f"{source} cannot be read: {error}; was the file cut off?") from error


def _numbers(path: Path, file: h5py.File, name: str) -> np.ndarray | None:
    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        return None
    if data.ndim != 2 or data.shape[1] != 14 or not data.shape[0] or data.dtype.kind != "f":
        raise EpisodeError(
            f"{path}: {name} is {data.dtype} {data.shape}; expected floating point (T, 14)"
        )
    return _read(f"{path}: {name}", data).astype(np.float64)


def _in_order(names: Sequence[str]) -> tuple[str, ...]:
    """ALOHA's cameras in ALOHA's order, then the others."""
    known = {name: index for index, name in enumerate(CAMERAS)}
    return tuple(sorted(names, key=lambda name: (known.get(name, len(known)), name)))


def _pictures(
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
    return JpegPictures(source, data, lengths, exchanged, height, width)


def _lengths(path: Path, file: h5py.File, cameras: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Of each camera's JPEGs, (T,) int64.

    Which row is whose the file does not say: recorders write them in the order of their
    configuration, readers take them in that of the alphabet. The first order that fits is taken:
    some JPEGs of each camera have to end where its row says.
    """
    data = file.get("/compress_len")
    if not isinstance(data, h5py.Dataset) or data.ndim != 2 or data.shape[0] != len(cameras):
        return {}
    rows = _read(f"{path}: /compress_len", data)
    if not rows.size or not np.isfinite(rows).all():
        raise EpisodeError(f"{path}: /compress_len holds no lengths (cameras, T): {data.shape}")
    rows = rows.astype(np.int64)
    fits = {name: _fitting(path, file[f"{IMAGES}/{name}"], rows) for name in cameras}
    usual = (tuple(sorted(cameras)), _in_order(cameras))
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
        jpeg = _read(f"{path}: {data.name}", data, step)
        for row, length in enumerate(rows[:, step]):
            whole = 2 <= length <= len(jpeg) and not jpeg[length:].any()
            fits[row] &= whole and _JPEG_END in jpeg[max(0, length - 64) : length].tobytes()
    return fits


def _times(path: Path, file: h5py.File, count: int) -> np.ndarray | None:
    data = file.get(STEP_NS)
    if not isinstance(data, h5py.Dataset) or data.shape != (count,):
        return None
    return _read(f"{path}: {STEP_NS}", data).astype(np.int64)


def _even(count: int, fps: int) -> np.ndarray:
    """From 1 s on, as a stamp of 0 means none."""
    return NS + np.round(np.arange(count) * (NS / fps)).astype(np.int64)


def _columns(file: h5py.File, name: str, count: int) -> dict[str, np.ndarray]:
    data = file.get(name)
    if not isinstance(data, h5py.Dataset) or data.ndim != 2 or len(data) != count:
        return {}
    columns = [str(column) for column in data.attrs.get(COLUMNS, ())]
    if len(columns) != data.shape[1]:
        return {}
    values = _read(f"{file.filename}: {name}", data).astype(np.int64)
    return {column: values[:, index] for index, column in enumerate(columns)}
