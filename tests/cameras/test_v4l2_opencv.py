"""OpenCV's capture code, on a V4L2 camera that a preloaded library pretends to the process."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aloha_stack.cameras.jpeg import encode
from cameras.fake_capture import picture

HERE = Path(__file__).parent


class Reader:
    """opencv_reader.py in a process of its own; `folder` holds what the camera gives and is."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self.folder = process, folder

    def __call__(self, command: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def read_on(self) -> str:
        """What the camera complains of in the end."""
        for _ in range(100):
            answer = self("read")
            if "error" in answer:
                return str(answer["error"])
        raise AssertionError("the camera goes on and on")

    def end(self) -> int:
        """The status with which the process ends by itself, in the time that a node has."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(5.0)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "fake_v4l2.so"
    source = HERE / "fake_v4l2.c"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wall", "-o", str(path), str(source), "-ldl"], check=True
    )
    return path


@pytest.fixture
def reader(library: Path, tmp_path: Path) -> Iterator[Reader]:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(encode(picture(60 + 60 * number), 95))
    environment = os.environ | {"LD_PRELOAD": str(library), "FAKE_V4L2": str(tmp_path)}
    command = [sys.executable, str(HERE / "opencv_reader.py")]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Reader(process, tmp_path)
        finally:
            process.kill()


def sums(folder: Path) -> set[str]:
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.jpg")}


def test_jpeg_reaches_us_byte_by_byte_with_the_drivers_stamp_also_after_a_reopening(
    reader: Reader,
) -> None:
    for _ in range(2):
        assert reader('open {"gain": 7}') == {"mode": "passthrough"}
        frames = [reader("read") for _ in range(6)]
        assert {frame["jpeg"] for frame in frames} == sums(reader.folder)
        assert all(0.01 <= frame["age_s"] < 5 for frame in frames)
        assert frames[-1]["remarks"] == []
        assert frames[-1]["damaged"] == 0
        assert reader("close") == {}


def test_padding_and_broken_images_are_seen_through_opencv_too(reader: Reader) -> None:
    good = {number: (reader.folder / f"{number}.jpg").read_bytes() for number in range(3)}
    (reader.folder / "0.jpg").write_bytes(good[0] + bytes(1000))
    (reader.folder / "1.jpg").write_bytes(good[1][:-300])
    reader("open {}")
    frames = [reader("read") for _ in range(4)]
    assert {frame["jpeg"] for frame in frames} == {
        hashlib.sha256(good[number]).hexdigest() for number in (0, 2)
    }
    assert frames[-1]["damaged"] >= 1


def test_a_camera_without_jpeg_is_encoded(reader: Reader) -> None:
    (reader.folder / "raw").touch()
    assert reader("open {}") == {"mode": "encoded"}
    assert reader("read")["age_s"] >= 0.01


def test_unplugging_is_noticed_and_plugging_in_again_brings_it_back(reader: Reader) -> None:
    reader("open {}")
    reader("read")
    (reader.folder / "unplugged").touch()
    assert "is gone: is the camera plugged in?" in reader.read_on()
    reader("close")
    assert "/dev/full does not exist" in reader("open {}")["error"]
    (reader.folder / "unplugged").unlink()
    assert reader("open {}") == {"mode": "passthrough"}
    assert reader("read")["jpeg"] in sums(reader.folder)


def test_a_camera_that_gives_nothing_is_broken_though_opencv_waits(reader: Reader) -> None:
    reader("open {}")
    reader("read")
    (reader.folder / "silent").touch()
    assert "no image from /dev/full for" in reader.read_on()
    assert reader("close") == {}
    assert reader.end() == 0  # OpenCV's call has not come back yet


def test_a_camera_that_another_program_has_is_told(reader: Reader) -> None:
    (reader.folder / "busy").touch()
    assert "does another program have it (fuser /dev/full)?" in reader("open {}")["error"]
