"""What the robot file says of a camera, and where its images are to be found."""

from pathlib import Path

import pytest
import yaml

from aloha_stack.robot.camera import Camera, load_cameras
from aloha_stack.robot.yaml_section import RobotConfigError, Section

ENTRY = "{source: '%s', width: 640, height: 480, rate_hz: 30, jpeg_quality: 90}"


def load(source: str, extra: str = "") -> Camera:
    text = f"cam_high: {ENTRY % source}".replace("}", f"{extra}}}")
    section = Section(yaml.safe_load(text), Path("robot.yaml"), "cameras")
    return load_cameras(section, {"HERE": "/calibrations"})["cam_high"]


@pytest.mark.parametrize(
    ("source", "topic", "preview", "encoded", "info"),
    [
        (
            "v4l2:/dev/CAM_HIGH",
            "/cam_high/image_raw/compressed",
            "/cam_high/preview/compressed",
            True,
            "/cam_high/camera_info",
        ),
        (
            "topic:/usb_cam/image_raw",
            "/usb_cam/image_raw",
            "/usb_cam/image_raw",
            False,
            "/usb_cam/camera_info",
        ),
        (
            "topic:/d405/color/image_rect_raw/compressed",
            "/d405/color/image_rect_raw/compressed",
            "/d405/color/image_rect_raw/compressed",
            True,
            "/d405/color/camera_info",
        ),
    ],
)
def test_the_name_of_a_topic_says_what_it_carries(
    source: str, topic: str, preview: str, encoded: bool, info: str
) -> None:
    camera = load(source)
    assert (camera.topic, camera.encoded, camera.info_topic) == (topic, encoded, info)
    assert camera.preview_topic == preview
    assert camera.image_type == f"sensor_msgs/msg/{'CompressedImage' if encoded else 'Image'}"
    assert camera.foreign == source.startswith("topic:")


def test_controls_are_whole_numbers_and_switches_and_may_be_left_out() -> None:
    extra = ", controls: {auto_exposure: 1, white_balance_automatic: false}"
    assert load("v4l2:/dev/a", extra).controls == {"auto_exposure": 1, "white_balance_automatic": 0}
    assert load("v4l2:/dev/a").controls == {}


def test_a_calibration_may_lie_where_a_variable_says() -> None:
    camera = load("v4l2:/dev/a", ", calibration: '${HERE}/high.yaml'")
    assert camera.calibration == "/calibrations/high.yaml"


@pytest.mark.parametrize("extra", [", controls: {gain: 3}", ", calibration: high.yaml"])
def test_what_belongs_to_another_driver_is_refused_here(extra: str) -> None:
    with pytest.raises(RobotConfigError, match="comes from another driver: give it to that driver"):
        load("topic:/usb_cam/image_raw", extra)
