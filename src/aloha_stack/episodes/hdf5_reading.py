"""Reads ALOHA HDF5 files (layout: `hdf5_layout`): checked before use, never written to."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from aloha_stack.episodes.commanders import COMMANDERS, HUMAN
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.hdf5_layout import (
    CAPTURE_NS,
    CODES,
    COLUMNS,
    COMMANDER,
    EXCHANGED,
    IMAGES,
    JOINT_AGE_NS,
    JPEG_COLOURS,
    METHOD,
    STEP_NS,
)
from aloha_stack.episodes.hdf5_pictures import in_order, jpeg_lengths, open_pictures, read_rows
from aloha_stack.episodes.step_grid import METHODS
from aloha_stack.episodes.steps import EpisodeSteps, Pictures, Resized, chosen_cameras

NS = 1_000_000_000

_NUMBERS = ("/action", "/observations/qpos", "/observations/qvel", "/observations/effort")


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
    names = chosen_cameras(in_order(available), wanted, str(path))
    lengths = jpeg_lengths(path, file, available)
    exchanged = (colours or str(file.attrs.get(JPEG_COLOURS, EXCHANGED))) == EXCHANGED
    pictures = {}
    for name in names:
        found = open_pictures(path, file[f"{IMAGES}/{name}"], name, lengths.get(name), exchanged)
        pictures[name] = found
        if len(found.data) != count:
            raise EpisodeError(
                f"{path}: {IMAGES}/{name} has {len(found.data)} pictures, /action has {count} rows"
            )
    for name, values in numbers.items():
        if values is not None and len(values) != count:
            raise EpisodeError(f"{path}: {name} has {len(values)} rows, /action has {count}")
    own_fps = float(file.attrs.get("fps", fps))
    if not 1 <= own_fps <= 1000 or own_fps % 1:
        raise EpisodeError(f"{path}: fps is {own_fps:g}; expected a whole number of 1 … 1000")
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
        commander=_commander(path, file, count),
        cameras=used,
        capture_ns={name: capture[name] for name in names if name in capture},
        joint_age_ns=_columns(file, JOINT_AGE_NS, count),
        method=_method(path, file),
    )


def _numbers(path: Path, file: h5py.File, name: str) -> np.ndarray | None:
    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        return None
    if data.ndim != 2 or data.shape[1] != 14 or not data.shape[0] or data.dtype.kind != "f":
        raise EpisodeError(
            f"{path}: {name} is {data.dtype} {data.shape}; expected floating point (T, 14)"
        )
    return read_rows(f"{path}: {name}", data).astype(np.float64)


def _commander(path: Path, file: h5py.File, count: int) -> np.ndarray:
    data = file.get(COMMANDER)
    if data is None:
        return np.full(count, HUMAN, np.uint8)
    if not isinstance(data, h5py.Dataset) or data.shape != (count,) or data.dtype.kind not in "iu":
        raise EpisodeError(f"{path}: {COMMANDER} is {data}; expected whole numbers ({count},)")
    values = read_rows(f"{path}: {COMMANDER}", data)
    codes = tuple(map(str, data.attrs.get(CODES, ())))
    if codes != COMMANDERS or values.min() < 0 or values.max() >= len(codes):
        raise EpisodeError(
            f"{path}: {COMMANDER} has {values.min()} … {values.max()}, which mean "
            f"{', '.join(codes) or 'nothing that is told'} ({CODES}); expected "
            f"{', '.join(COMMANDERS)}, from 0 on"
        )
    return values.astype(np.uint8)


def _method(path: Path, file: h5py.File) -> str:
    method = str(file.attrs.get(METHOD, ""))
    if method and method not in METHODS:
        raise EpisodeError(f"{path}: {METHOD} is {method!r}; expected {' or '.join(METHODS)}")
    return method


def _times(path: Path, file: h5py.File, count: int) -> np.ndarray | None:
    data = file.get(STEP_NS)
    if not isinstance(data, h5py.Dataset) or data.shape != (count,):
        return None
    return read_rows(f"{path}: {STEP_NS}", data).astype(np.int64)


def _even(count: int, fps: int) -> np.ndarray:
    """From 1 s on, as a stamp of 0 means none; all steps are equally long."""
    return NS + np.arange(count, dtype=np.int64) * round(NS / fps)


def _columns(file: h5py.File, name: str, count: int) -> dict[str, np.ndarray]:
    data = file.get(name)
    if not isinstance(data, h5py.Dataset) or data.ndim != 2 or len(data) != count:
        return {}
    columns = [str(column) for column in data.attrs.get(COLUMNS, ())]
    if len(columns) != data.shape[1]:
        return {}
    values = read_rows(f"{file.filename}: {name}", data).astype(np.int64)
    return {column: values[:, index] for index, column in enumerate(columns)}
