"""Cameras of the twin: real snapshots, a real renderer, frames that belong together."""

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from aloha_stack.cameras.factory import Sources
from aloha_stack.cameras.source import CameraSource, Frame, SourceError
from aloha_stack.robot.description import Camera, load_robot
from aloha_stack.twin.snapshots import SnapshotWriter
from aloha_stack.twin.world import World
from cameras.source_conformance import PATIENCE_S, SourceConformance, next_frame

NAMES = ("top", "front_close", "left_wrist", "right_wrist")
PERIOD_NS = 20_000_000


def camera(name: str = "cam_high", rate_hz: float = 50.0, width: int = 320) -> Camera:
    return Camera(name, "", width, 240, rate_hz, 90)


class Twin:
    """A world that moves its cube a little from snapshot to snapshot, and waits for its readers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        world = World("transfer_cube", 0, load_robot("twin", {"ALOHA_PORTS": "p"}), "start")
        self.qpos = world.qpos()
        self.writer = SnapshotWriter(path, "transfer_cube", len(self.qpos))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        count = 0
        while not self._ending.wait(0.002):
            if self.writer.slowest_reader_lag(active_s=5.0) < 2:
                count += 1
                qpos = self.qpos.copy()
                qpos[16:19] = 0.02 * (count % 8), 0.5, 0.02
                self.writer.write(count * PERIOD_NS, qpos)

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        self.writer.close()


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Twin]:
    twin = Twin(tmp_path / "world")
    yield twin
    twin.stop()


class TestTwinCamera(SourceConformance):
    @pytest.fixture
    def source(self, twin: Twin) -> Iterator[CameraSource]:
        source = Sources().open_source(f"twin:{twin.path}#top", camera())
        yield source
        source.close()


def test_four_cameras_read_at_once_see_the_same_instants_without_loss(twin: Twin) -> None:
    sources = Sources()
    cameras = {n: sources.open_source(f"twin:{twin.path}#{n}", camera(n)) for n in NAMES}
    frames: dict[str, list[Frame]] = {name: [] for name in NAMES}

    def read(name: str) -> None:
        cameras[name].open()
        while len(frames[name]) < 12:
            frames[name].append(next_frame(cameras[name]))

    threads = [threading.Thread(target=read, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for source in cameras.values():
        source.close()
    for name in NAMES:
        stamps = [frame.stamp_ns for frame in frames[name]]
        assert np.all(np.diff(stamps) == PERIOD_NS)
        assert [frame.sequence for frame in frames[name]] == list(range(12))
    # The last to open begins last: compare what all have.
    common = set.intersection(*({f.stamp_ns for f in frames[name]} for name in NAMES))
    assert common
    stamp = min(common)
    jpegs = {next(f.jpeg for f in frames[name] if f.stamp_ns == stamp) for name in NAMES}
    assert len(jpegs) == 4


def test_a_frame_shows_the_world_at_its_stamp(twin: Twin) -> None:
    source = Sources().open_source(f"twin:{twin.path}#top", camera())
    source.open()
    columns: dict[int, float] = {}
    for _ in range(10):
        frame = next_frame(source)
        image = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
        red = np.argwhere((image[..., 2] > 120) & (image[..., 1] < 90))
        columns[frame.stamp_ns // PERIOD_NS % 8] = red[:, 1].mean()
    source.close()
    places = sorted(columns)
    assert len(places) == 8
    assert np.all(np.diff([columns[place] for place in places]) > 2)


def test_a_slower_camera_exposes_at_its_own_rate(twin: Twin) -> None:
    source = Sources().open_source(f"twin:{twin.path}#top", camera(rate_hz=25.0))
    source.open()
    stamps = [next_frame(source).stamp_ns for _ in range(5)]
    source.close()
    assert np.all(np.diff(stamps) == 2 * PERIOD_NS)


def read_to_the_end(source: CameraSource) -> None:
    """Reads what is still on its way, then until something else happens."""
    while source.read(PATIENCE_S):
        pass


def test_when_the_twin_goes_its_cameras_say_so(twin: Twin) -> None:
    source = Sources().open_source(f"twin:{twin.path}#top", camera())
    source.open()
    next_frame(source)
    twin.stop()
    with pytest.raises(SourceError, match=r"the twin that wrote .* is gone"):
        read_to_the_end(source)
    source.close()


def test_without_a_twin_opening_fails_and_works_once_it_is_there(tmp_path: Path) -> None:
    source = Sources().open_source(f"twin:{tmp_path / 'world'}#top", camera())
    with pytest.raises(SourceError, match="is the twin running"):
        source.open()
    twin = Twin(tmp_path / "world")
    source.open()
    next_frame(source)
    source.close()
    twin.stop()


def test_cameras_of_different_size_in_one_process_are_refused(twin: Twin) -> None:
    sources = Sources()
    first = sources.open_source(f"twin:{twin.path}#top", camera("one"))
    second = sources.open_source(f"twin:{twin.path}#top", camera("two", width=640))
    first.open()
    with pytest.raises(SourceError, match=r"two: .* one size, got 320x240, 640x240"):
        second.open()
    next_frame(first)
    first.close()


def test_a_reader_that_stops_loses_old_frames_and_sees_the_gap(twin: Twin) -> None:
    source = Sources().open_source(f"twin:{twin.path}#top", camera())
    source.open()
    first = next_frame(source)
    other = Sources().open_source(f"twin:{twin.path}#top", camera())
    other.open()
    while next_frame(other).stamp_ns < first.stamp_ns + 20 * PERIOD_NS:
        pass
    gap = next_frame(source)
    source.close()
    other.close()
    assert gap.sequence > first.sequence + 1
    assert gap.stamp_ns - first.stamp_ns == (gap.sequence - first.sequence) * PERIOD_NS


def test_the_world_is_seen_as_it_looks(tmp_path: Path) -> None:
    world = World("transfer_cube", 0, load_robot("twin", {"ALOHA_PORTS": "p"}), "start")
    seen = []
    for looks in ((), ("background",)):
        writer = SnapshotWriter(tmp_path / "world", "transfer_cube", world.model.nq, looks)
        writer.write(PERIOD_NS, world.qpos(), seed=5)
        source = Sources().open_source(f"twin:{writer.path}#top", camera())
        source.open()
        picture = np.frombuffer(next_frame(source).jpeg, np.uint8)
        seen.append(cv2.imdecode(picture, cv2.IMREAD_COLOR)[100, 160].astype(int))
        source.close()
        writer.close()
    grey, coloured = (int(np.ptp(pixel)) for pixel in seen)
    assert grey < 10 < 20 < coloured
