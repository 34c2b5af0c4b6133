"""Decoded pictures on disk, mapped into memory: for data sets that are read again and again.

One .npy file an episode, (T, cameras, height, width, 3) uint8, named by what it was made from:

    EPISODE-WHERE-HOW-WHAT.npy    WHERE the episode lies, HOW it is read, WHAT pictures it has

An episode that changed gets a new name, and the old file goes. Several processes may share a
folder: one builds, the others wait for it, and all map the same pages.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.training.episode import TrainingEpisode
from aloha_stack.training.store import EpisodeStore, Progress

FORMAT = "1"
SPARE_BYTES = 256 << 20
"""What a cache leaves free on its disk."""
BLOCK_BYTES = 64 << 20
"""Of decoded pictures in memory while a cache is built."""
THREADS = 2
PARTIAL = ".pictures.partial"
"""The end of the name of a file that is being made."""


def cached(
    store: EpisodeStore, folder: Path | str, progress: Progress | None = None
) -> EpisodeStore:
    """The same steps with their pictures from files in `folder`, which are made where they lack.

    Raises EpisodeError for pictures that cannot be decoded, a folder that cannot be written to,
    and too little room; an interruption leaves no half file.
    """
    folder = Path(folder)
    files = cache_files(store, folder)
    try:
        if _missing(store, files):
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder, progress):
                missing = _missing(store, files)  # less, if another process was at it
                _make(store, files, missing, progress)
    except OSError as error:
        raise EpisodeError(
            f"the cache {folder} cannot be written: {error.strerror}; give another folder"
        ) from error
    return EpisodeStore(store.episodes, store.settings, CachedFrames(files))


def cache_files(store: EpisodeStore, folder: Path) -> list[Path]:
    """Where the pictures of each episode are in a cache, or would be. Raises EpisodeError."""
    return [folder / _file_name(store, episode) for episode in store.episodes]


def cache_bytes(store: EpisodeStore) -> int:
    """How much the pictures of all steps take."""
    return len(store) * _step_bytes(store)


class CachedFrames:
    """Pictures of steps from the files of a cache; each process maps them when it first reads."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._maps: dict[int, np.ndarray] = {}

    def read(self, episode: int, step: int, out: np.ndarray) -> None:
        """Fills `out` (cameras, height, width, 3) uint8, RGB. Raises EpisodeError."""
        pictures = self._maps.get(episode)
        if pictures is None:
            try:
                pictures = np.asarray(np.load(self._files[episode], mmap_mode="r"))
            except (OSError, ValueError) as error:
                raise EpisodeError(
                    f"{self._files[episode]} is gone or damaged ({error}); make the cache again"
                ) from error
            self._maps[episode] = pictures
        out[...] = pictures[step]

    def __getstate__(self) -> dict[str, Any]:
        return {"_files": self._files, "_maps": {}}


def _file_name(store: EpisodeStore, episode: TrainingEpisode) -> str:
    settings = store.settings
    how = [FORMAT, cv2.__version__, store.cameras, store.image_size, settings.alignment]
    if episode.left_out:
        how.append(settings.commanders)
    how += [part for part in (settings.crop, settings.seen) if part is not None]
    content: list[bytes] = [episode.frame.tobytes()]
    try:
        for index in episode.cameras:
            state = index.path.stat()
            content.append(f"{state.st_size} {state.st_mtime_ns}".encode())
            content += [index.offset.tobytes(), index.size.tobytes()]
    except OSError as error:
        raise EpisodeError(f"{index.path} cannot be read: {error.strerror}") from error
    where = str(episode.path.resolve()).encode()
    return (
        "-".join(
            [
                episode.path.name,
                _digest([where]),
                _digest([repr(tuple(how)).encode()]),
                _digest(content),
            ]
        )
        + ".npy"
    )


def _digest(parts: Sequence[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()[:12]


def _step_bytes(store: EpisodeStore) -> int:
    return int(np.prod(store.picture_shape))


def _missing(store: EpisodeStore, files: Sequence[Path]) -> list[int]:
    """The episodes whose pictures are not there, or not all of them."""
    return [
        number
        for number, (file, episode) in enumerate(zip(files, store.episodes, strict=True))
        if not file.exists() or file.stat().st_size < len(episode) * _step_bytes(store)
    ]


@contextmanager
def _alone(folder: Path, progress: Progress | None) -> Iterator[None]:
    """Only one process at a time makes files in `folder`."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress is not None:
                progress(f"waiting for another process that builds the cache {folder}", 0.0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(
    store: EpisodeStore, files: Sequence[Path], numbers: Sequence[int], progress: Progress | None
) -> None:
    if not numbers:
        return
    folder = files[0].parent
    for left in folder.glob(f"*{PARTIAL}"):  # of a process that was killed
        left.unlink()
    for number in numbers:
        _remove_stale(files[number])
    total = sum(len(store.episodes[number]) for number in numbers)
    needed, free = total * _step_bytes(store), shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise EpisodeError(
            f"the cache needs {needed / 1e9:.1f} GB, and the disk of {folder} has "
            f"{free / 1e9:.1f} GB left; make room, or ask for a smaller image_size, fewer cameras "
            "or another folder"
        )
    done = 0
    for number in numbers:
        episode, before = store.episodes[number], done

        def tell(steps: int, episode: TrainingEpisode = episode, before: int = before) -> None:
            if progress is not None:
                what = f"cache of {needed / 1e9:.1f} GB: {episode.path.name}"
                progress(what, (before + steps) / total)

        _write(store, episode, files[number], tell)
        done += len(episode)


def _remove_stale(file: Path) -> None:
    """Files of the same episode, read in the same way, that hold other pictures than now."""
    stem = file.stem.rpartition("-")[0]
    for old in file.parent.glob("*.npy"):
        if old.stem.rpartition("-")[0] == stem:
            old.unlink()


def _write(
    store: EpisodeStore, episode: TrainingEpisode, file: Path, tell: Callable[[int], None]
) -> None:
    """Writes, rather than maps, the new file: on a full disk writing to a map kills a process."""
    partial = file.with_suffix(PARTIAL)
    readers = [store.recorded([episode]) for _ in range(THREADS)]
    shape = (len(episode), *store.picture_shape)
    block = np.empty((max(1, BLOCK_BYTES // _step_bytes(store)), *store.picture_shape), np.uint8)

    def decode(thread: int, first: int, count: int) -> None:
        for place in range(thread, count, THREADS):
            readers[thread].read(0, first + place, block[place])

    try:
        with partial.open("wb") as out, ThreadPoolExecutor(THREADS) as pool:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for first in range(0, len(episode), len(block)):
                count = min(len(block), len(episode) - first)
                jobs = [pool.submit(decode, thread, first, count) for thread in range(THREADS)]
                for job in jobs:
                    job.result()
                out.write(block[:count].data)
                tell(first + count)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
