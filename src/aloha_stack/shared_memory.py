"""What Fast DDS keeps in /dev/shm: a segment for each process with a ROS node, and its leftovers.

A process that is killed leaves its segment behind, which holds memory (config/fastdds.xml: 32 MiB)
until somebody removes it: Fast DDS itself does not. A segment is in use while its owner holds the
lock on the file beside it.
"""

import contextlib
import fcntl
import re
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")
LOCK = re.compile(r"fastrtps_[0-9a-f]{16}_el")
MADE_S = 30.0
"""A younger segment may be one whose owner is about to take the lock."""


def leftovers(folder: Path = FOLDER) -> Iterator[tuple[Path, int]]:
    """The segments of dead processes, and the memory that each holds, bytes."""
    for lock in folder.glob("fastrtps_*_el") if folder.is_dir() else ():
        segment = lock.with_name(lock.name.removesuffix("_el"))
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if LOCK.fullmatch(lock.name) and _is_dead(lock):
                yield segment, segment.stat().st_blocks * 512


def sweep(folder: Path = FOLDER) -> int:
    """Removes the segments of dead processes; the memory that this gave back, bytes."""
    freed = 0
    for segment, size in list(leftovers(folder)):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            segment.unlink()
            segment.with_name(f"{segment.name}_el").unlink()
            freed += size
    return freed


def _is_dead(lock: Path) -> bool:
    if time.time() - lock.stat().st_mtime < MADE_S:
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
