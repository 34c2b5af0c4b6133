"""The camera node: what one camera does, or its driver, is no matter to the others."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage

from aloha_stack.cameras import factory, v4l2
from aloha_stack.cameras.source import Frame
from aloha_stack.cameras.v4l2 import V4L2Camera
from aloha_stack.nodes import _camera_diagnostics, _camera_feed
from aloha_stack.nodes import camera as camera_module
from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.nodes.camera import CameraNode
from aloha_stack.robot.description import RobotConfigError
from aloha_stack.robot.share import share_folder
from cameras.fake_capture import FakeCamera
from nodes.arm_rig import ros, spinning, wait_for, with_parameters

ENTRY = {"width": 320, "height": 240, "rate_hz": 50, "jpeg_quality": 90, "calibration": None}
TWO = {"cam_high": "v4l2:/dev/high", "cam_low": "v4l2:/dev/low"}


@dataclass
class Rig:
    """A camera node over fake cameras, and what a listener heard of it."""

    folder: Path
    cameras: dict[str, dict[str, Any]]
    fakes: dict[str, FakeCamera]
    node: CameraNode = None  # type: ignore[assignment]
    images: dict[str, list[CompressedImage]] = field(default_factory=lambda: defaultdict(list))
    infos: dict[str, list[CameraInfo]] = field(default_factory=lambda: defaultdict(list))
    diagnostics: dict[str, DiagnosticStatus] = field(default_factory=dict)

    def heard(self, name: str) -> int:
        return len(self.images[name])

    def hears_more(self, name: str, count: int = 5) -> None:
        """Waits until so many further images have come."""
        before = self.heard(name)
        wait_for(lambda: self.heard(name) >= before + count)

    def says(self, name: str, words: str) -> DiagnosticStatus:
        """The status of a camera, once its message holds `words`."""
        wait_for(lambda: name in self.diagnostics and words in self.diagnostics[name].message)
        return self.diagnostics[name]

    @contextmanager
    def running(self, *, start: bool = True, **parameters: str) -> Iterator[None]:
        path = self.folder / "robot.yaml"
        values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
        path.write_text(yaml.safe_dump(values | {"cameras": self.cameras}))
        with ros():
            given = with_parameters(robot=str(path), **parameters)
            self.node = CameraNode(parameter_overrides=given)
            listener = Node("listener")
            for name in self.cameras:
                listener.create_subscription(
                    CompressedImage,
                    f"/{name}/image_raw/compressed",
                    self.images[name].append,
                    IMAGES,
                )
                listener.create_subscription(
                    CameraInfo, f"/{name}/camera_info", self.infos[name].append, IMAGES
                )
            listener.create_subscription(DiagnosticArray, "/diagnostics", self._keep, 10)
            with spinning(self.node), spinning(listener):
                try:
                    if start:
                        assert self.node.transition("configure")
                        assert self.node.transition("activate")
                    yield
                finally:
                    for fake in self.fakes.values():
                        fake.wake()
                    self.node.close()
                    self.node.time.close()
            self.node.destroy_node()
            listener.destroy_node()

    def _keep(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name.removeprefix("cameras/")] = status


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    fakes: dict[str, FakeCamera] = {path: FakeCamera() for path in ("/dev/high", "/dev/low")}
    monkeypatch.setattr(
        factory, "V4L2Camera", lambda path, camera: V4L2Camera(path, camera, fakes[path].open)
    )
    monkeypatch.setattr(v4l2, "QUEUE", 1000)  # none is lost on machines that have much to do
    monkeypatch.setattr(_camera_feed, "REOPEN_S", 0.1)
    monkeypatch.setattr(_camera_diagnostics, "PERIOD_S", 0.1)
    return Rig(tmp_path, {name: ENTRY | {"source": uri} for name, uri in TWO.items()}, fakes)


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in status.values}


def test_images_are_published_as_they_came_with_the_stamp_of_their_exposure(rig: Rig) -> None:
    fake = rig.fakes["/dev/high"]
    fake.stamp = lambda exposed_s: exposed_s - 0.02
    with rig.running():
        rig.hears_more("cam_high")
        image, info = rig.images["cam_high"][0], rig.infos["cam_high"][0]
        age_s = (time.time_ns() - stamp_ns(image.header.stamp)) * 1e-9
        wait_for(lambda: values_of(rig.says("cam_high", "well"))["rate (Hz)"] != "unknown")
        status = rig.says("cam_high", "all is well")
    assert bytes(image.data) in fake.images
    assert image.format == "rgb8; jpeg compressed bgr8"
    assert 0.02 <= age_s < 10
    assert (info.width, info.height, info.k[0]) == (320, 240, 0)
    stamps = {stamp_ns(other.header.stamp) for other in rig.infos["cam_high"]}
    assert stamp_ns(image.header.stamp) in stamps
    assert image.header.frame_id == info.header.frame_id == "cam_high_optical"
    values = values_of(status)
    assert status.level == DiagnosticStatus.OK
    assert values["mode"] == "passthrough"
    assert float(values["rate (Hz)"]) > 40
    assert float(values["age (s)"]) < 5


@pytest.mark.parametrize(("every_s", "shown"), [(1e6, 1), (0.0, 21)])
def test_who_looks_gets_an_image_now_and_then(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, every_s: float, shown: int
) -> None:
    monkeypatch.setattr(_camera_feed, "PREVIEW_S", every_s)
    with rig.running():
        previews: list[CompressedImage] = []
        looking = Node("looking")
        looking.create_subscription(
            CompressedImage, "/cam_high/preview/compressed", previews.append, IMAGES
        )
        with spinning(looking):
            wait_for(lambda: previews)
            rig.hears_more("cam_high", 40)
            wait_for(lambda: len(previews) >= shown)
        looking.destroy_node()
        assert every_s == 0.0 or len(previews) == 1
        assert bytes(previews[0].data) in rig.fakes["/dev/high"].images
        stamps = [stamp_ns(image.header.stamp) for image in rig.images["cam_high"]]
        assert stamp_ns(previews[0].header.stamp) in stamps


def test_a_camera_that_is_pulled_out_is_told_comes_back_and_the_others_go_on(rig: Rig) -> None:
    with rig.running():
        rig.hears_more("cam_high")
        rig.fakes["/dev/high"].plugged = False
        status = rig.says("cam_high", "does not exist: plug the camera in")
        assert status.level == DiagnosticStatus.ERROR
        before = rig.heard("cam_high")
        rig.hears_more("cam_low", 10)
        assert rig.heard("cam_high") == before
        rig.fakes["/dev/high"].plugged = True
        rig.hears_more("cam_high")
        wait_for(lambda: values_of(rig.diagnostics["cam_high"])["reconnects"] == "1")
        assert values_of(rig.diagnostics["cam_low"])["reconnects"] == "0"
        assert not rig.node.finished
    assert all(fake.opened == fake.closed for fake in rig.fakes.values())


def test_a_driver_that_hangs_holds_up_neither_the_other_camera_nor_the_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v4l2, "SILENT_S", 0.2)
    with rig.running():
        rig.hears_more("cam_high")
        rig.fakes["/dev/high"].hang()
        rig.says("cam_high", "hangs: unplug the camera")
        rig.hears_more("cam_low", 10)
        ended = threading.Thread(target=rig.node.close)
        ended.start()
        ended.join(5.0)  # what the launch files give a node to end
        assert not ended.is_alive()


def test_damaged_and_lost_images_are_told(rig: Rig) -> None:
    good = rig.fakes["/dev/low"].images[0]
    rig.fakes["/dev/low"].images = [good, good, good[:700]]
    with rig.running():
        status = rig.says("cam_low", "damaged in the last second")
        rig.hears_more("cam_low", 30)
    assert status.level == DiagnosticStatus.WARN
    values = values_of(status)
    assert "without an end" in values["last damage"]
    assert int(values["damaged"]) > 0
    assert {bytes(image.data) for image in rig.images["cam_low"]} == {good}


def test_a_camera_that_is_missing_at_the_start_keeps_none_dark_and_streams_once_it_is_there(
    rig: Rig,
) -> None:
    rig.fakes["/dev/low"].plugged = False
    with rig.running():
        rig.hears_more("cam_high")
        status = rig.says("cam_low", "/dev/low does not exist: plug the camera in")
        assert status.level == DiagnosticStatus.ERROR
        assert rig.heard("cam_low") == 0
        rig.fakes["/dev/low"].plugged = True
        rig.hears_more("cam_low")
        wait_for(lambda: rig.diagnostics["cam_low"].level != DiagnosticStatus.ERROR)
        assert values_of(rig.diagnostics["cam_low"])["reconnects"] == "0"
        rig.fakes["/dev/low"].plugged = False
        rig.says("cam_low", "does not exist")
        rig.fakes["/dev/low"].plugged = True
        rig.hears_more("cam_low")
        wait_for(lambda: values_of(rig.diagnostics["cam_low"])["reconnects"] == "1")
    assert all(fake.opened == fake.closed for fake in rig.fakes.values())


def test_the_start_waits_while_no_camera_opens(rig: Rig) -> None:
    for fake in rig.fakes.values():
        fake.plugged = False
    with rig.running(start=False):
        assert not rig.node.transition("configure")
        rig.says("cam_high", "/dev/high does not exist: plug the camera in")
        rig.says("cam_low", "/dev/low does not exist: plug the camera in")
        for fake in rig.fakes.values():
            fake.plugged = True
        assert rig.node.transition("configure")
        assert rig.node.transition("activate")
        rig.hears_more("cam_high")
        rig.hears_more("cam_low")


def test_a_thread_that_was_left_behind_reads_no_camera_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = threading.Lock()
    read, overlaps = V4L2Camera.read, []

    def read_alone(source: V4L2Camera, timeout_s: float) -> Frame | None:
        if source.path != "/dev/high":
            return read(source, timeout_s)
        alone = reading.acquire(blocking=False)
        try:
            overlaps.extend([] if alone else [timeout_s])
            return read(source, timeout_s)
        finally:
            if alone:
                reading.release()

    monkeypatch.setattr(V4L2Camera, "read", read_alone)
    with rig.running():
        rig.hears_more("cam_high")
        rig.fakes["/dev/high"].silent = True
        rig.says("cam_high", "no image for")
        with monkeypatch.context() as patch:
            patch.setattr(camera_module, "STOP_S", 0.0)
            assert rig.node.transition("deactivate")  # in the middle of a read
        assert rig.node.transition("activate")
        rig.fakes["/dev/high"].silent = False
        rig.hears_more("cam_high", 10)
        wait_for(lambda: [t.name for t in threading.enumerate()].count("cam_high") == 1)
        assert overlaps == []


def test_what_waited_while_the_node_was_inactive_is_not_published(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v4l2, "QUEUE", 8)
    with rig.running():
        rig.hears_more("cam_high")
        assert rig.node.transition("deactivate")
        time.sleep(1.0)
        begun_ns = time.time_ns()
        before = rig.heard("cam_high")
        assert rig.node.transition("activate")
        rig.hears_more("cam_high", 3)
        first = rig.images["cam_high"][before + 1]
        assert stamp_ns(first.header.stamp) > begun_ns - 0.1e9
        rig.hears_more("cam_high", 20)
        wait_for(lambda: int(values_of(rig.diagnostics["cam_high"])["frames"]) > before + 3)
        # 50 came meanwhile.
        assert int(values_of(rig.diagnostics["cam_high"])["dropped"]) < 20


def test_another_drivers_camera_is_left_alone(rig: Rig) -> None:
    rig.cameras["cam_low"]["source"] = "topic:/d405/color/image_raw/compressed"
    with rig.running():
        rig.hears_more("cam_high")
        assert rig.node.count_publishers("/d405/color/image_raw/compressed") == 0
        assert rig.node.count_publishers("/cam_low/image_raw/compressed") == 0
        assert set(rig.diagnostics) <= {"cam_high"}


def test_only_the_cameras_that_were_chosen_are_opened(rig: Rig) -> None:
    with rig.running(camera_names="cam_low"):
        rig.hears_more("cam_low")
        assert rig.node.count_publishers("/cam_high/image_raw/compressed") == 0
        assert set(rig.diagnostics) <= {"cam_low"}
    with pytest.raises(RobotConfigError, match="no camera 'cam_top'; it has cam_high, cam_low"):  # noqa: SIM117
        with rig.running(camera_names="cam_low,cam_top"):
            pass


def calibrated(rig: Rig, width: int) -> None:
    """Gives cam_high a calibration beside the robot file, for images of that width."""
    matrix = {"rows": 3, "cols": 3, "data": [300.0, 0, 160, 0, 301.0, 120, 0, 0, 1]}
    content = {
        "image_width": width,
        "image_height": 240,
        "camera_name": "cam_high",
        "camera_matrix": matrix,
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, 0.2, 0.0, 0.0, 0.3]},
        "rectification_matrix": {**matrix, "data": np.eye(3).ravel().tolist()},
        "projection_matrix": {"rows": 3, "cols": 4, "data": list(range(12))},
    }
    (rig.folder / "high.yaml").write_text(yaml.safe_dump(content))
    rig.cameras["cam_high"]["calibration"] = "high.yaml"


def test_a_calibration_stands_in_every_camera_info(rig: Rig) -> None:
    calibrated(rig, 320)
    with rig.running():
        rig.hears_more("cam_high")
        info = rig.infos["cam_high"][-1]
    assert (info.distortion_model, list(info.d)) == ("plumb_bob", [0.1, 0.2, 0.0, 0.0, 0.3])
    assert list(info.k) == [300, 0, 160, 0, 301, 120, 0, 0, 1]
    assert list(info.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert list(info.p) == list(range(12))


def test_a_calibration_of_another_size_is_refused_at_once(rig: Rig) -> None:
    calibrated(rig, 640)
    with pytest.raises(RobotConfigError, match=r"high\.yaml: image_width: 640, but cam_high"):  # noqa: SIM117
        with rig.running():
            pass
