"""Which source a URI names, and what is said of one that names none."""

from dataclasses import replace

import pytest

from aloha_stack.cameras.factory import open_source
from aloha_stack.cameras.source import UnknownSourceError
from aloha_stack.robot.description import Camera, load_robot

CAMERA = Camera("cam_high", "", 640, 480, 50.0, 90)


def test_every_camera_of_the_twin_has_a_source() -> None:
    for camera in load_robot("twin", {"ALOHA_PORTS": "ports"}).cameras.values():
        open_source(camera.source, camera)


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("twin:ports/world#roof", r"no camera 'roof'; it has .*top.*front_close"),
        ("twin:ports/world", "expected twin:FOLDER/world#NAME"),
        ("twin:#top", "expected twin:FOLDER/world#NAME"),
        ("v4l2:video0", "unknown source 'v4l2:video0'; there is v4l2:/dev/NAME"),
        ("rtsp://camera", "unknown source 'rtsp://camera'; there is v4l2:/dev/NAME"),
        ("file:", "unknown source"),
        ("", "unknown source ''"),
    ],
)
def test_what_is_no_source_is_named_with_the_forms_that_exist(uri: str, complaint: str) -> None:
    with pytest.raises(UnknownSourceError, match=complaint):
        open_source(uri, CAMERA)


def test_another_drivers_camera_is_opened_by_nobody() -> None:
    camera = replace(CAMERA, source="topic:/usb_cam/image_raw")
    with pytest.raises(UnknownSourceError, match="another driver publishes /usb_cam/image_raw"):
        open_source(camera.source, camera)
