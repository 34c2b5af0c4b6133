"""The ring of snapshots: order, pace, and what readers notice when the writer goes."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.twin.snapshots import READERS, SLOTS, SnapshotError, SnapshotReader, SnapshotWriter
from unstalled import unstalled

NQ = 23


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SnapshotWriter]:
    with unstalled():  # whose reader gives no sign for 0.2 s is not waited for
        writer = SnapshotWriter(tmp_path / "world", "transfer_cube", NQ)
        yield writer
        writer.close()


def leave(writer: SnapshotWriter, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        writer.write(number * 20_000_000, np.full(NQ, float(number)))


def test_a_reader_gets_every_snapshot_once_and_in_order(writer: SnapshotWriter) -> None:
    reader = SnapshotReader(writer.path, "camera")
    assert (reader.task, reader.looks) == ("transfer_cube", ())
    leave(writer, 20)
    snapshots = [reader.next(0.0) for _ in range(20)]
    assert [s.sequence for s in snapshots if s] == list(range(1, 21))
    assert [s.time_ns for s in snapshots if s] == [n * 20_000_000 for n in range(1, 21)]
    assert snapshots[4] is not None
    assert np.array_equal(snapshots[4].qpos, np.full(NQ, 5.0))
    assert reader.next(0.0) is None
    assert reader.dropped == 0


def test_a_reader_knows_how_the_world_looks_and_whose_seed_it_has(tmp_path: Path) -> None:
    writer = SnapshotWriter(tmp_path / "world", "insertion", NQ, ("background", "light"))
    reader = SnapshotReader(writer.path, "camera")
    assert (reader.task, reader.looks) == ("insertion", ("background", "light"))
    seeds = (0, 2**32 - 1)
    for seed in seeds:
        writer.write(20_000_000, np.zeros(NQ), seed)
    assert tuple(s.seed for s in (reader.next(0.0), reader.next(0.0)) if s) == seeds
    writer.close()


def test_a_late_reader_begins_with_the_newest(writer: SnapshotWriter) -> None:
    leave(writer, 10)
    snapshot = SnapshotReader(writer.path, "camera").next(0.0)
    assert snapshot is not None
    assert snapshot.sequence == 10


def test_a_reader_that_fell_behind_goes_on_with_what_is_left_and_says_how_much_is_lost(
    writer: SnapshotWriter,
) -> None:
    reader = SnapshotReader(writer.path, "camera")
    leave(writer, 3 * SLOTS)
    seen = []
    while snapshot := reader.next(0.0):
        seen.append(snapshot.sequence)
    assert seen[-1] == 3 * SLOTS
    assert seen == list(range(seen[0], seen[-1] + 1))
    assert reader.dropped + len(seen) == 3 * SLOTS


def test_the_writer_knows_how_far_its_slowest_reader_is_behind(writer: SnapshotWriter) -> None:
    assert writer.slowest_reader_lag() == 0
    quick, slow = (SnapshotReader(writer.path, name) for name in ("quick", "slow"))
    leave(writer, 3)
    while quick.next(0.0):
        pass
    slow.next(0.0)
    assert writer.slowest_reader_lag() == 3  # the first is read, but not yet finished
    slow.next(0.0)
    assert writer.slowest_reader_lag() == 2
    slow.close()
    assert writer.slowest_reader_lag() == 0


def test_a_reader_that_gives_no_sign_of_life_is_not_waited_for(writer: SnapshotWriter) -> None:
    reader = SnapshotReader(writer.path, "stuck")
    leave(writer, 5)
    assert writer.slowest_reader_lag() == 5
    time.sleep(0.05)
    assert writer.slowest_reader_lag(active_s=0.02) == 0
    reader.alive()
    assert writer.slowest_reader_lag(active_s=10.0) == 5


def test_a_reader_can_leave_out_what_came_before(writer: SnapshotWriter) -> None:
    reader = SnapshotReader(writer.path, "camera")
    leave(writer, 9)
    reader.skip_to_newest()
    snapshot = reader.next(0.0)
    assert snapshot is not None
    assert snapshot.sequence == 9
    assert reader.dropped == 0


def test_places_are_given_back_and_run_out_with_a_message(writer: SnapshotWriter) -> None:
    readers = [SnapshotReader(writer.path, f"camera {n}") for n in range(READERS)]
    with pytest.raises(SnapshotError, match="already has 16 readers"):
        SnapshotReader(writer.path, "one more")
    readers[3].close()
    SnapshotReader(writer.path, "one more")


def test_readers_notice_a_writer_that_closed(writer: SnapshotWriter) -> None:
    reader = SnapshotReader(writer.path, "camera")
    leave(writer, 1)
    writer.close()
    assert reader.next(0.0) is not None  # what was left is still there
    with pytest.raises(SnapshotError, match=r"camera: the twin .* is gone"):
        reader.next(0.01)
    assert not writer.path.exists()


def test_readers_notice_a_new_writer_in_the_old_ones_place(writer: SnapshotWriter) -> None:
    reader = SnapshotReader(writer.path, "camera")
    fresh = SnapshotWriter(writer.path, "insertion", 30)
    with pytest.raises(SnapshotError, match="gone"):
        reader.next(0.01)
    again = SnapshotReader(fresh.path, "camera")
    fresh.write(1, np.zeros(30))
    assert again.task == "insertion"
    assert again.next(0.0) is not None
    writer.close()
    assert fresh.path.exists()  # closing the old one does not take the new one's file
    fresh.close()


def read_to_the_end(reader: SnapshotReader) -> None:
    while reader.next(0.0):
        pass


def _write_for_ever(path: Path, ready: "multiprocessing.synchronize.Event") -> None:
    writer = SnapshotWriter(path, "transfer_cube", NQ)
    number = 0
    while True:
        number += 1
        writer.write(number, np.full(NQ, float(number)))
        if number == 100:
            ready.set()
        if number > 100:
            time.sleep(0.0002)


def test_a_killed_writer_is_gone_and_never_a_torn_snapshot(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_write_for_ever, args=(tmp_path / "world", ready))
    process.start()
    assert ready.wait(20)
    reader = SnapshotReader(tmp_path / "world", "camera")
    for _ in range(1000):
        snapshot = reader.next(5.0)
        assert snapshot is not None
        assert np.all(snapshot.qpos == snapshot.time_ns)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with pytest.raises(SnapshotError, match="gone"):
        read_to_the_end(reader)


def test_readers_that_come_at_once_get_places_of_their_own(writer: SnapshotWriter) -> None:
    readers: list[SnapshotReader] = []
    threads = [
        threading.Thread(target=lambda: readers.append(SnapshotReader(writer.path, "camera")))
        for _ in range(READERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    leave(writer, 2)
    for reader in readers[:-1]:
        reader.next(0.0)
        reader.next(0.0)
        reader.next(0.0)
    assert len(readers) == READERS
    assert writer.slowest_reader_lag() == 2


def test_no_world_and_no_such_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="is the twin running"):
        SnapshotReader(tmp_path / "world", "camera")
    (tmp_path / "world").write_bytes(b"something else" * 100)
    with pytest.raises(SnapshotError, match="no file of the twin's snapshots"):
        SnapshotReader(tmp_path / "world", "camera")
