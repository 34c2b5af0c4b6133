"""A memory-mapped ring in which the world leaves its states for cameras in other processes.

One writer, many readers, no locks on the way of the data. The writer never waits; it can ask how
far the slowest living reader is behind, and let model time wait for it.

    header    magic, layout version, nq, slots, written (newest sequence), name of the task, what
              of its looks is changed (twin.looks)
    readers   per reader: seen (monotonic ns of its last sign of life), done (sequence finished)
    slots     per snapshot: sequence, time_ns, seed of the world, qpos (nq), sequence again

A slot is whole if both its sequence numbers agree with the one looked for: the writer voids the
first, writes the content, the second and then the first (x86 and NumPy keep that order of stores).

A writer holds a `flock` on its file for as long as it lives, whatever ends it; a new writer puts a
new file in the place of the old one. So a reader can tell a writer that is gone from one that is
slow.
"""

import fcntl
import mmap
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAGIC = 0x414C4F48_41574F52
VERSION = 2
SLOTS = 64
READERS = 16
ACTIVE_S = 0.2
POLL_S = 0.001


class SnapshotError(RuntimeError):
    """The file of snapshots is not one, or its writer is gone."""


@dataclass(frozen=True)
class Snapshot:
    """State of the world of `seed` at `time_ns` of model time: qpos (nq,). `sequence` counts from
    1."""

    sequence: int
    time_ns: int
    seed: int
    qpos: np.ndarray


def _layout(nq: int) -> np.dtype:
    header = [
        ("magic", "<u8"),
        ("version", "<u8"),
        ("nq", "<u8"),
        ("slots", "<u8"),
        ("written", "<u8"),
        ("task", "S64"),
        ("looks", "S64"),
    ]
    reader = [("seen_ns", "<i8"), ("done", "<u8")]
    slot = [("first", "<u8"), ("time_ns", "<i8"), ("seed", "<i8"), ("qpos", "<f8", (nq,))]
    slot += [("last", "<u8")]
    return np.dtype([("header", header), ("readers", reader, READERS), ("slots", slot, SLOTS)])


class SnapshotWriter:
    """Creates the file `path`, taking the place of any former one. Used by one thread."""

    def __init__(self, path: Path | str, task: str, nq: int, looks: Sequence[str] = ()) -> None:
        self.path = Path(path)
        layout = _layout(nq)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        self._file: BinaryIO = open(fresh, "w+b")  # noqa: SIM115 - kept open: it holds the lock
        self._file.truncate(layout.itemsize)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._ring = np.frombuffer(mmap.mmap(self._file.fileno(), 0), dtype=layout)[0]
        header = self._ring["header"]
        header["magic"], header["version"], header["nq"] = MAGIC, VERSION, nq
        header["slots"], header["task"] = SLOTS, task.encode()
        header["looks"] = ",".join(looks).encode()
        self._sequence = 0
        os.replace(fresh, self.path)

    def write(self, time_ns: int, qpos: np.ndarray, seed: int = 0) -> None:
        """Leaves a snapshot: qpos (nq,) at `time_ns` of model time in the world of `seed`."""
        self._sequence += 1
        slot = self._ring["slots"][self._sequence % SLOTS]
        slot["first"] = 0
        slot["time_ns"], slot["seed"] = time_ns, seed
        slot["qpos"] = qpos
        slot["last"] = self._sequence
        slot["first"] = self._sequence
        self._ring["header"]["written"] = self._sequence

    def slowest_reader_lag(self, active_s: float = ACTIVE_S) -> int:
        """How many snapshots the slowest reader has yet to finish, of the readers that gave a sign
        of life within `active_s` of wall time; 0 if there is none."""
        readers = self._ring["readers"]
        alive = readers["seen_ns"] > time.monotonic_ns() - int(active_s * 1e9)
        if not alive.any():
            return 0
        return max(0, self._sequence - int(readers["done"][alive].min()))

    def close(self) -> None:
        """Lets go of the file, and removes it if it is still this writer's."""
        try:
            if os.stat(self.path).st_ino == os.fstat(self._file.fileno()).st_ino:
                self.path.unlink()
        except FileNotFoundError:
            pass
        self._file.close()


class SnapshotReader:
    """Reads the snapshots of the file `path`, in order, from the newest on. Used by one thread.

    Raises SnapshotError if there is no such file, it is none of this kind, or all places are taken.
    """

    def __init__(self, path: Path | str, name: str) -> None:
        self.path, self.name = Path(path), name
        self.dropped = 0
        """Snapshots that were overwritten before they could be read."""
        try:
            self._file: BinaryIO = open(self.path, "r+b")  # noqa: SIM115 - kept open
        except FileNotFoundError as error:
            raise SnapshotError(f"{name}: no snapshots at {path}: is the twin running?") from error
        head = np.frombuffer(self._file.read(_layout(0).itemsize), dtype=np.uint8)
        if head.size < 24 or tuple(head[:16].view("<u8")) != (MAGIC, VERSION):
            self._file.close()
            raise SnapshotError(
                f"{name}: {path} is no file of the twin's snapshots (version {VERSION})"
            )
        layout = _layout(int(head[16:24].view("<u8")[0]))
        self._ring = np.frombuffer(mmap.mmap(self._file.fileno(), 0), dtype=layout)[0]
        self.task = bytes(self._ring["header"]["task"]).decode()
        looks = bytes(self._ring["header"]["looks"]).decode()
        self.looks = tuple(looks.split(",")) if looks else ()
        self._last = max(0, self._written() - 1)
        self._mine = self._take_place()

    def _written(self) -> int:
        return int(self._ring["header"]["written"])

    def _take_place(self) -> np.void:
        """A free entry among the readers; taking one is guarded by a lock beside the file."""
        with open(self.path.with_name(f"{self.path.name}.readers"), "w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            long_ago = time.monotonic_ns() - int(10 * ACTIVE_S * 1e9)
            for entry in self._ring["readers"]:
                if entry["seen_ns"] < long_ago:
                    entry["done"] = self._last
                    entry["seen_ns"] = time.monotonic_ns()
                    return entry
        self._file.close()
        raise SnapshotError(f"{self.name}: {self.path} already has {READERS} readers")

    def alive(self) -> None:
        """A sign of life, while a snapshot takes long to be worked off."""
        self._mine["seen_ns"] = time.monotonic_ns()

    def skip_to_newest(self) -> None:
        """Leaves out what was written so far, but for the newest."""
        self._last = max(self._last, self._written() - 1)

    def next(self, timeout_s: float) -> Snapshot | None:
        """The snapshot after the last one; None if none came within `timeout_s` of wall time.

        The call says that the last one is finished. Raises SnapshotError if the writer is gone.
        """
        self._mine["done"] = self._last
        deadline = time.monotonic() + timeout_s
        while True:
            self.alive()
            snapshot = self._read()
            if snapshot is not None:
                return snapshot
            if time.monotonic() >= deadline:
                self._check_writer()
                return None
            time.sleep(POLL_S)

    def _read(self) -> Snapshot | None:
        written = self._written()
        if written <= self._last:
            return None
        # The writer may be about to overwrite the oldest slots: leave it room.
        sequence = max(self._last + 1, written - SLOTS // 2)
        slot = self._ring["slots"][sequence % SLOTS]
        if slot["first"] != sequence:
            return None
        time_ns, seed = int(slot["time_ns"]), int(slot["seed"])
        snapshot = Snapshot(sequence, time_ns, seed, slot["qpos"].copy())
        if slot["last"] != sequence or slot["first"] != sequence:
            return None
        self.dropped += sequence - self._last - 1
        self._last = sequence
        return snapshot

    def _check_writer(self) -> None:
        """Raises SnapshotError if the writer has ended, or another has taken its place."""
        try:
            same = os.stat(self.path).st_ino == os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            same = False
        try:
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if same:
                return
        else:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        raise SnapshotError(
            f"{self.name}: the twin that wrote {self.path} is gone; start it, or open anew"
        )

    def close(self) -> None:
        """Gives up the place among the readers."""
        self._mine["seen_ns"] = 0
        self._file.close()
