"""The folder that holds the episodes: whether it can take one more, and its number."""

import os
import re
import shutil
from pathlib import Path

from aloha_stack.episodes.errors import FolderError

GIB = float(1 << 30)
DISCARDED = "discarded"
"""The folder, beside the episodes, of those that were kept and then discarded."""

_NAME = re.compile(r"^episode_(\d{6,})$")


def free_gib(directory: Path) -> float:
    """Free space for this user on the disk of `directory` (or of its nearest existing parent)."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return shutil.disk_usage(directory).free / GIB


def check_folder(directory: Path, min_free_gib: float) -> None:
    """Makes `directory` if need be and tries to write in it. Raises FolderError, which names it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise FolderError(
            f"the output folder {directory} cannot be made: a file is in its way; move "
            f"{error.filename} or choose another directory"
        ) from error
    except OSError as error:
        raise FolderError(
            f"the output folder {directory} cannot be made: {error.strerror}; make it by hand, "
            "or choose another directory"
        ) from error
    probe = directory / f".writable_{os.getpid()}"
    try:
        probe.write_bytes(b"?")
        probe.unlink()
    except OSError as error:
        raise FolderError(
            f"the output folder {directory} cannot be written to: {error.strerror}; check its "
            "owner and permissions (ls -ld) and its mount (ro?), or choose another directory"
        ) from error
    free = free_gib(directory)
    if free < min_free_gib:
        raise FolderError(
            f"the disk of the output folder {directory} is too full: {free:.2f} GiB are free, "
            f"{min_free_gib:.2f} GiB are needed; delete what is no longer needed, choose another "
            "directory, or lower the recorder's parameter min_free_gib"
        )


def episode_paths(directory: Path) -> list[Path]:
    """The episodes in `directory`, by number. Raises FolderError if it is no folder."""
    if not directory.is_dir():
        raise FolderError(
            f"no folder of episodes at {directory}; give the directory that was recorded into "
            "(it holds episode_000000, episode_000001, …)"
        )
    found = [(int(m.group(1)), p) for p in directory.iterdir() if (m := _NAME.match(p.name))]
    return [path for _, path in sorted(found)]


def episode_path(directory: Path, number: int) -> Path:
    """Where the episode of that number is, or would be."""
    return directory / f"episode_{number:06d}"


def next_episode(directory: Path) -> Path:
    """Makes and returns the folder one number above the highest that exists or was discarded."""
    while True:
        folders = [folder for folder in (directory, directory / DISCARDED) if folder.is_dir()]
        taken = [
            int(path.name.removeprefix("episode_"))
            for folder in folders
            for path in episode_paths(folder)
        ]
        number = max(taken, default=-1) + 1
        path = episode_path(directory, number)
        try:
            path.mkdir()
        except FileExistsError:  # another recorder took the number in the meantime
            continue
        return path


def sync_folder(folder: Path) -> None:
    """Forces the names in `folder` to the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
