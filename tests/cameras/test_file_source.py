"""Images from files, as a camera."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from aloha_stack.cameras import files
from aloha_stack.cameras.factory import open_source
from aloha_stack.cameras.jpeg import encode
from aloha_stack.cameras.source import CameraSource, SourceError
from aloha_stack.robot.description import Camera
from cameras.source_conformance import SourceConformance, next_frame

CAMERA = Camera("cam_high", "", 320, 240, 100.0, 90)
FAST = Camera("cam_high", "", 64, 48, 240.0, 95)


def picture(value: int, width: int = 320, height: int = 240) -> np.ndarray:
    image = np.full((height, width, 3), value, np.uint8)
    image[: height // 2] //= 2
    return image


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frames are lost by readers on machines that have much to do."""
    monkeypatch.setattr(files, "QUEUE", 1000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), picture(60 + 60 * number))
    return tmp_path


class TestFolder(SourceConformance):
    @pytest.fixture
    def source(self, folder: Path) -> Iterator[CameraSource]:
        source = open_source(f"file:{folder}", CAMERA)
        yield source
        source.close()


class TestVideo(SourceConformance):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[CameraSource]:
        path = tmp_path / "video.avi"
        video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50, (640, 480))
        for number in range(3):
            video.write(picture(60 * number + 60, 640, 480))
        video.release()
        source = open_source(f"file:{path}", CAMERA)
        yield source
        source.close()


def test_jpegs_of_the_right_size_are_passed_on_untouched_in_order_and_again(folder: Path) -> None:
    source = open_source(f"file:{folder}", CAMERA)
    source.open()
    jpegs = [next_frame(source).jpeg for _ in range(6)]
    files = [(folder / f"{number}.jpg").read_bytes() for number in range(3)]
    assert jpegs == files + files


def video(path: Path, count: int) -> Path:
    """A video of images that grow brighter, 5 levels each."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50, (64, 48))
    for number in range(count):
        writer.write(np.full((48, 64, 3), 5 * number, np.uint8))
    writer.release()
    return path


def test_a_video_plays_in_order_and_again_from_its_beginning(tmp_path: Path) -> None:
    source = open_source(f"file:{video(tmp_path / 'long.avi', 40)}", FAST)
    source.open()
    levels = [brightness(next_frame(source).jpeg) for _ in range(85)]
    source.close()
    assert levels == pytest.approx([5 * (number % 40) for number in range(85)], abs=2)


def brightness(jpeg: bytes) -> float:
    return float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


def test_a_video_is_not_loaded_but_read_as_it_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []

    def count(image: np.ndarray, quality: int) -> bytes:
        encoded.append(image)
        return encode(image, quality)

    monkeypatch.setattr(files, "encode", count)
    source = open_source(f"file:{video(tmp_path / 'long.avi', 40)}", FAST)
    source.open()
    for _ in range(5):
        next_frame(source)
    assert len(encoded) <= 6


def test_who_reads_too_late_loses_frames_and_sees_it_in_the_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "QUEUE", 8)
    source = open_source(f"file:{folder}", CAMERA)
    source.open()
    first = next_frame(source)
    time.sleep(0.3)
    late = next_frame(source)
    assert late.sequence - first.sequence >= 20
    assert late.jpeg == (folder / f"{late.sequence % 3}.jpg").read_bytes()
    assert next_frame(source).sequence > late.sequence


def test_nothing_comes_before_it_is_due(folder: Path) -> None:
    slow = Camera("cam_high", "", 320, 240, 0.1, 90)
    source = open_source(f"file:{folder}", slow)
    source.open()
    next_frame(source)
    assert source.read(0.01) is None


def test_a_folder_that_would_fill_the_memory_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    with pytest.raises(SourceError, match="make a video file of them"):
        open_source(f"file:{folder}", CAMERA).open()


def test_what_cannot_be_played_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no folder or video file"):
        open_source(f"file:{tmp_path / 'none'}", CAMERA).open()
    with pytest.raises(SourceError, match="no images"):
        open_source(f"file:{tmp_path}", CAMERA).open()
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"a\.jpg is no image"):
        open_source(f"file:{tmp_path}", CAMERA).open()
    with pytest.raises(SourceError, match="no video"):
        open_source(f"file:{tmp_path / 'a.jpg'}", CAMERA).open()
