"""What Fast DDS keeps in /dev/shm: segments, ports, and what dead processes leave of them.

A process whose nodes have images has a *segment* for what it sends. One that is killed leaves it
behind, which holds memory (config/fastdds.xml: 32 MiB) until somebody removes it: Fast DDS itself
does not. A segment is in use while its owner holds the lock on the file beside it.

A *port* is the queue of a receiver. It is made in microseconds, but whoever dies meanwhile leaves
it half made, and every process that opens it later waits for the rest, busily and for ever: all
nodes of the machine, as some ports are common to all domains. Boost.Interprocess, which does the
waiting, gives up a port that its maker has declared unfit: that is done here in the maker's place.
"""

import contextlib
import fcntl
import mmap
import os
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")
LOCK = re.compile(r"fastrtps_[0-9a-f]{16}_el")
MADE_S = 30.0
"""A younger segment may be one whose owner is about to take the lock."""

PORT = re.compile(r"fastrtps_port[0-9]+")
PORT_MADE_S = 0.5
"""A port that is half made for so long has lost its maker."""

# The first word of a segment, and the size of a file that has none yet or never will have
# (Boost 1.73, boost/interprocess/detail/managed_open_or_create_impl.hpp).
STATE = struct.Struct("=I")
UNFINISHED = (0, 1)
CORRUPTED = 3
GIVEN_UP_SIZE = 1


def sweep(folder: Path = FOLDER) -> int:
    """Removes what dead processes left; the memory that this gave back, bytes."""
    heal_ports(folder)
    freed = 0
    for segment, size in list(leftovers(folder)):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            segment.unlink()
            segment.with_name(f"{segment.name}_el").unlink()
            freed += size
    return freed


def leftovers(folder: Path = FOLDER) -> Iterator[tuple[Path, int]]:
    """The segments of dead processes, and the memory that each holds, bytes."""
    for lock in folder.glob("fastrtps_*_el") if folder.is_dir() else ():
        segment = lock.with_name(lock.name.removesuffix("_el"))
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if LOCK.fullmatch(lock.name) and _is_dead(lock):
                yield segment, segment.stat().st_blocks * 512


def heal_ports(folder: Path = FOLDER) -> list[Path]:
    """Gives up ports that dead processes left half made; those who wait for them go on at once.

    Takes PORT_MADE_S if there is one, and a few milliseconds otherwise.
    """
    lost = lost_ports(folder)
    for path in lost:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            _give_up(path)
    return lost


def lost_ports(folder: Path = FOLDER) -> list[Path]:
    """Ports that are half made, and stay so for PORT_MADE_S."""
    found = _half_made_ports(folder)
    if not found:
        return []
    time.sleep(PORT_MADE_S)
    return sorted(path for path, _ in found & _half_made_ports(folder))


def _half_made_ports(folder: Path) -> set[tuple[Path, int]]:
    """Each with its inode: the port of the same name may be a new one the next time."""
    found = set()
    for path in folder.glob("fastrtps_port*") if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if PORT.fullmatch(path.name) and _is_half_made(path):
                found.add((path, path.stat().st_ino))
    return found


def _is_half_made(port: Path) -> bool:
    with port.open("rb") as file:
        head = file.read(STATE.size)
    return len(head) < STATE.size or STATE.unpack(head)[0] in UNFINISHED


def _give_up(port: Path) -> None:
    with port.open("r+b") as file:
        if os.fstat(file.fileno()).st_size < STATE.size:
            file.truncate(GIVEN_UP_SIZE)
        else:
            with mmap.mmap(file.fileno(), STATE.size) as memory:
                STATE.pack_into(memory, 0, CORRUPTED)
    port.unlink()


def _is_dead(lock: Path) -> bool:
    if time.time() - lock.stat().st_mtime < MADE_S:
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
