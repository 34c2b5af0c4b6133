"""V4L2 cameras above the device: whole images only, true stamps, and a driver that may do anything.

What OpenCV and the kernel do below the seam needs a camera, and is not tested here.
"""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from aloha_stack.cameras import v4l2
from aloha_stack.cameras.jpeg import encode
from aloha_stack.cameras.source import ENCODED, PASSTHROUGH, CameraSource, SourceError
from aloha_stack.cameras.stamps import ARRIVAL
from aloha_stack.cameras.v4l2 import V4L2Camera
from aloha_stack.robot.description import Camera
from cameras.fake_capture import FakeCamera, picture
from cameras.source_conformance import PATIENCE_S, SourceConformance, next_frame

CAMERA = Camera("cam_high", "v4l2:/dev/fake", 320, 240, 100.0, 90)


def source_of(fake: FakeCamera) -> V4L2Camera:
    return V4L2Camera("/dev/fake", CAMERA, fake.open)


@pytest.fixture
def fake() -> Iterator[FakeCamera]:
    camera = FakeCamera()
    yield camera
    camera.wake()


@pytest.fixture
def source(fake: FakeCamera, monkeypatch: pytest.MonkeyPatch) -> Iterator[CameraSource]:
    monkeypatch.setattr(v4l2, "QUEUE", 1000)  # for readers on machines that have much to do
    source = source_of(fake)
    yield source
    source.close()


class TestJpegCamera(SourceConformance):
    pass


class TestRawCamera(SourceConformance):
    @pytest.fixture
    def fake(self) -> FakeCamera:
        return FakeCamera([picture(50), picture(150)])

    def test_its_images_are_encoded_once(self, source: CameraSource) -> None:
        source.open()
        assert next_frame(source).jpeg == encode(picture(50), CAMERA.jpeg_quality)
        assert source.health.mode == ENCODED


def read_on(source: CameraSource, timeout_s: float = 0.05) -> None:
    """Reads until the source complains; an end without a complaint is a failure of the test."""
    for _ in range(400):
        source.read(timeout_s)


def test_the_cameras_own_jpeg_is_passed_on_untouched(source, fake) -> None:
    source.open()
    assert [next_frame(source).jpeg for _ in range(3)] == fake.images
    assert source.health.mode == PASSTHROUGH
    assert source.health.remarks == []


def test_the_stamp_is_the_drivers_on_the_machines_clock(source, fake) -> None:
    fake.stamp = lambda exposed_s: exposed_s - 0.03
    source.open()
    frame = next_frame(source)
    machine_s = time.time() - time.monotonic()
    stamped_s = machine_s + fake.exposed_s[0] - 0.03
    assert frame.stamp_ns * 1e-9 == pytest.approx(stamped_s, rel=0, abs=0.01)


def test_stamps_that_cannot_be_are_replaced_by_the_arrival_and_that_is_said_once(source, fake):
    stamps = itertools.cycle([0.0, 5.0, 1e9])
    fake.stamp = lambda exposed_s: next(stamps)
    before_ns = time.time_ns()
    source.open()
    frames = [next_frame(source) for _ in range(6)]
    assert before_ns <= frames[0].stamp_ns < frames[-1].stamp_ns <= time.time_ns()
    assert all(b.stamp_ns > a.stamp_ns for a, b in itertools.pairwise(frames))
    assert source.health.remarks == [ARRIVAL]


def test_damaged_images_are_not_handed_over_but_counted_and_named(source, fake) -> None:
    good = fake.images[0]
    fake.images = [good, good[:1000], b"", good[2:], good]
    source.open()
    frames = [next_frame(source) for _ in range(4)]
    assert {frame.jpeg for frame in frames} == {good}
    # Two are good, three are not: they are missing in the count.
    assert [f.sequence - frames[0].sequence for f in frames] == [0, 4, 5, 9]
    assert source.health.damaged >= 6
    assert "ff d8" in source.health.damage


def test_images_of_another_shape_are_damaged(source, fake) -> None:
    fake.images = [picture(50), picture(50, 160, 120)]
    source.open()
    first, second = next_frame(source), next_frame(source)
    assert second.sequence == first.sequence + 2
    assert "(120, 160, 3)" in source.health.damage


def test_a_camera_that_is_pulled_out_is_an_error_and_opens_again(source, fake) -> None:
    source.open()
    next_frame(source)
    fake.plugged = False
    with pytest.raises(SourceError, match=r"cam_high: .*is gone: is the camera plugged in"):
        read_on(source)
    source.close()
    with pytest.raises(SourceError, match="does not exist: plug the camera in"):
        source.open()
    fake.plugged = True
    source.open()
    next_frame(source)
    assert fake.closed == 1


def test_a_camera_that_falls_silent_is_broken_after_a_while(source, fake, monkeypatch) -> None:
    monkeypatch.setattr(v4l2, "SILENT_S", 0.2)
    source.open()
    next_frame(source)
    fake.silent = True
    with pytest.raises(SourceError, match="no image from /dev/fake for"):
        read_on(source)


def test_a_camera_whose_images_are_all_damaged_is_broken_and_says_why(
    source, fake, monkeypatch
) -> None:
    monkeypatch.setattr(v4l2, "SILENT_S", 0.2)
    fake.images = [image[:500] for image in fake.images]
    source.open()
    with pytest.raises(SourceError, match=r"no image .* the last one was damaged: .*ff"):
        read_on(source)


def test_a_driver_that_hangs_holds_nobody_up(source, fake, monkeypatch) -> None:
    monkeypatch.setattr(v4l2, "SILENT_S", 0.2)
    monkeypatch.setattr(v4l2, "CLOSE_S", 0.1)
    source.open()
    next_frame(source)
    fake.hang()
    with pytest.raises(SourceError, match="no image"):
        read_on(source)
    source.close()  # comes back
    with pytest.raises(SourceError, match="hangs: unplug the camera"):
        source.open()
    fake.wake()
    fake.wait_until_closed()
    source.open()
    next_frame(source)


def test_a_camera_that_was_not_closed_in_time_but_is_by_now_opens(
    source, fake, monkeypatch
) -> None:
    monkeypatch.setattr(v4l2, "CLOSE_S", 0.0)
    source.open()
    next_frame(source)
    source.close()
    monkeypatch.setattr(v4l2, "CLOSE_S", 3.0)
    source.open()
    next_frame(source)


def test_an_opening_that_hangs_is_given_up_and_closed_when_it_comes_late(
    source, fake, monkeypatch
) -> None:
    monkeypatch.setattr(v4l2, "OPEN_S", 0.1)
    monkeypatch.setattr(v4l2, "CLOSE_S", 0.1)
    fake.hang()
    with pytest.raises(SourceError, match=r"did not open within 0.1 s"):
        source.open()
    fake.wake()
    fake.wait_until_closed()
    assert (fake.opened, fake.closed) == (1, 1)
    monkeypatch.setattr(v4l2, "OPEN_S", 3.0)
    source.open()
    next_frame(source)


def test_who_reads_too_late_loses_the_oldest_and_sees_it_in_the_count(
    source, fake, monkeypatch
) -> None:
    monkeypatch.setattr(v4l2, "QUEUE", 8)
    source.open()
    first = next_frame(source)
    fake.wait_until_given(v4l2.QUEUE + 4)
    late = next_frame(source)
    assert late.sequence > first.sequence + 1


def test_closing_wakes_a_reader(source, fake) -> None:
    fake.silent = True
    source.open()
    closer = threading.Timer(0.05, source.close)
    closer.start()
    with pytest.raises(SourceError, match="closed"):
        source.read(PATIENCE_S)
    closer.join()


def test_a_failure_that_nobody_expected_is_told_as_an_error_of_the_camera(monkeypatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)

    class Odd(FakeCamera):
        def open(self, path: str, camera: Camera):
            raise ZeroDivisionError("odd")

    with pytest.raises(SourceError, match="reading /dev/fake failed: ZeroDivisionError"):
        source_of(Odd()).open()
