"""Questions to a V4L2 driver and the answers' bytes; formats and controls as the robot file asks.

/dev/null stands in for the device file: a character device that everybody may open.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from aloha_stack.cameras import v4l2_device
from aloha_stack.cameras.capture import OpenCvCapture
from aloha_stack.cameras.source import SourceError
from aloha_stack.cameras.v4l2_device import V4l2Device, control_name
from aloha_stack.cameras.v4l2_setup import choose_format, set_controls
from aloha_stack.robot.description import Camera
from cameras.fake_driver import FakeDriver, webcam

CAMERA = Camera("cam_high", "v4l2:/dev/null", 640, 480, 60.0, 90)


def device_of(driver: FakeDriver) -> V4l2Device:
    return V4l2Device("/dev/null", driver.ioctl)


def test_every_structure_is_as_long_as_its_request_says() -> None:
    for request, layout in (
        (v4l2_device.QUERYCAP, v4l2_device.CAPABILITY),
        (v4l2_device.ENUM_FMT, v4l2_device.FMTDESC),
        (v4l2_device.ENUM_FRAMESIZES, v4l2_device.FRMSIZE),
        (v4l2_device.ENUM_FRAMEINTERVALS, v4l2_device.FRMIVAL),
        (v4l2_device.QUERYCTRL, v4l2_device.QUERY),
        (v4l2_device.QUERYMENU, v4l2_device.MENU),
        (v4l2_device.G_CTRL, v4l2_device.CONTROL),
        (v4l2_device.S_CTRL, v4l2_device.CONTROL),
    ):
        assert layout.size == request >> 16 & 0x3FFF


def test_mjpg_is_preferred_and_others_are_taken_where_it_is_not_offered() -> None:
    with device_of(webcam()) as device:
        assert choose_format(device, CAMERA) == "MJPG"
        assert choose_format(device, replace(CAMERA, rate_hz=29.97)) == "MJPG"
        assert choose_format(device, replace(CAMERA, rate_hz=15.0)) == "YUYV"


def test_sizes_and_rates_that_are_not_offered_are_named_with_those_that_are() -> None:
    with device_of(webcam()) as device:
        for wrong in (replace(CAMERA, rate_hz=50.0), replace(CAMERA, height=360)):
            with pytest.raises(
                SourceError,
                match=r"\(Webcam C9\) does not give 640x.* it offers MJPG 640x480 at 60, 30 \| "
                r"1280x720 at 60; YUYV 640x480 at 30, 24, 15 \| 1280x720 at 10: choose",
            ):
                choose_format(device, wrong)


def test_a_range_of_rates_holds_all_within() -> None:
    driver = FakeDriver({"MJPG": {(640, 480): [(1, 60)]}}, {})
    with device_of(driver) as device:
        assert choose_format(device, replace(CAMERA, rate_hz=50.0)) == "MJPG"
        with pytest.raises(SourceError, match=r"MJPG 640x480 at 1 … 60"):
            choose_format(device, replace(CAMERA, rate_hz=90.0))


def test_a_camera_of_unknown_formats_is_refused() -> None:
    driver = FakeDriver({"H264": {(640, 480): [60]}}, {})
    with (
        device_of(driver) as device,
        pytest.raises(SourceError, match="no format that is understood here"),
    ):
        choose_format(device, CAMERA)


def test_controls_have_the_names_of_v4l2_ctl() -> None:
    with device_of(webcam()) as device:
        assert list(device.controls()) == [
            "brightness",
            "white_balance_automatic",
            "gain",
            "power_line_frequency",
            "white_balance_temperature",
            "auto_exposure",
            "exposure_time_absolute",
            "focus_absolute",
            "privacy",
        ]
    assert control_name("Exposure (Absolute)") == "exposure_absolute"


def test_automatic_modes_are_switched_off_before_what_they_hold_is_set() -> None:
    driver = webcam()
    wanted = {"exposure_time_absolute": 156, "gain": 16, "auto_exposure": 1}
    with device_of(driver) as device:
        set_controls(device, wanted)
    assert driver.written == [
        ("Auto Exposure", 1),
        ("Exposure Time, Absolute", 156),
        ("Gain", 16),
    ]


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (
            {"gain": 3, "exposure": 5},
            r"no control 'exposure'; it has brightness, .*exposure_time_absolute",
        ),
        ({"exposure_time_absolute": 2}, "exposure_time_absolute cannot be 2; expected 3 … 2047"),
        (
            {"auto_exposure": 2},
            r"auto_exposure cannot be 2; expected 1 \(Manual Mode\), 3 \(Aperture Priority Mode\)",
        ),
        ({"focus_absolute": 7}, "focus_absolute cannot be 7; expected 0 … 250 in steps of 5"),
        ({"white_balance_automatic": 2}, "white_balance_automatic cannot be 2; expected 0 … 1"),
        ({"privacy": 0}, "privacy can only be read"),
    ],
)
def test_impossible_controls_are_refused_before_any_is_set(
    wanted: dict[str, int], complaint: str
) -> None:
    driver = webcam()
    with device_of(driver) as device, pytest.raises(SourceError, match=complaint):
        set_controls(device, wanted)
    assert driver.written == []


def test_a_control_that_an_automatic_mode_holds_is_told() -> None:
    with (
        device_of(webcam()) as device,
        pytest.raises(SourceError, match="exposure_time_absolute is held by an automatic mode"),
    ):
        set_controls(device, {"exposure_time_absolute": 156})


def test_a_value_that_the_camera_does_not_keep_is_told() -> None:
    with (
        device_of(webcam()) as device,
        pytest.raises(SourceError, match="gain was set to 5, but the camera made it 4"),
    ):
        set_controls(device, {"gain": 5})


def test_the_other_node_of_a_camera_is_told_apart() -> None:
    with pytest.raises(SourceError, match=r"/dev/null \(Webcam C9\) gives no pictures"):
        device_of(FakeDriver({}, {}, own=0x04A0_0000))


def test_a_driver_without_device_capabilities_is_asked_for_its_own() -> None:
    with device_of(FakeDriver({}, {}, capabilities=0x0400_0001, own=0)) as device:
        assert device.card == "Webcam C9"


def test_what_is_no_camera_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, complaint in (
        (tmp_path / "nothing", "does not exist: plug the camera in"),
        (tmp_path / "file", "is no device"),
        (Path("/dev/null"), "/dev/null is no V4L2 device"),
    ):
        with pytest.raises(SourceError, match=complaint):
            OpenCvCapture(str(path), CAMERA)


def test_a_device_that_may_not_be_opened_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(SourceError, match="usermod -aG video"):
        V4l2Device("/dev/null")


def test_files_are_closed_after_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with device_of(webcam()):
        pass
    with pytest.raises(SourceError):
        V4l2Device("/dev/null")
    assert len(os.listdir("/proc/self/fd")) == before
