"""Pictures without ROS: the camera node's bytes, at any size, of the robot's own cameras."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from aloha_stack.cameras.jpeg import encode_rgb
from aloha_stack.robot.description import Robot, RobotConfigError, load_robot
from aloha_stack.twin.direct_cameras import DirectCameras, decode
from aloha_stack.twin.renderer import SceneRenderer
from aloha_stack.twin.world import World


@cache
def robot() -> Robot:
    return load_robot("twin", {"ALOHA_PORTS": "ports"})


@cache
def qpos() -> np.ndarray:
    return World("insertion", 0, robot(), "start").qpos()


def test_pictures_are_the_scene_s_through_the_camera_node_s_encoder() -> None:
    cameras = DirectCameras("insertion", robot(), ("cam_high", "cam_right_wrist"), (160, 120))
    shown = cameras.pictures(7, qpos())
    seen = cameras.seen(qpos())
    cameras.close()
    renderer = SceneRenderer("insertion", 160, 120)
    renderer.pose(qpos())
    for name, scene in (("cam_high", "top"), ("cam_right_wrist", "right_wrist")):
        image = renderer.render(scene)
        assert shown[name].jpeg == encode_rgb(image, robot().camera(name).jpeg_quality)
        assert shown[name].stamp_ns == 7
        np.testing.assert_array_equal(seen[name], decode(shown[name].jpeg))
        assert np.abs(seen[name].astype(int) - image).mean() < 3
    renderer.close()


def test_all_cameras_of_the_robot_come_at_its_size_if_nothing_is_said() -> None:
    cameras = DirectCameras("transfer_cube", robot())
    assert cameras.names == tuple(robot().cameras)
    assert (cameras.width, cameras.height) == (640, 480)
    cameras.close()


def test_a_camera_that_is_not_in_the_scene_is_named() -> None:
    camera = replace(robot().camera("cam_high"), source="v4l2:/dev/cam_high")
    with pytest.raises(RobotConfigError, match="cam_high has the source v4l2:/dev/cam_high"):
        DirectCameras("insertion", replace(robot(), cameras={"cam_high": camera}))


def test_cameras_of_different_sizes_need_one_to_be_given() -> None:
    high, low = robot().camera("cam_high"), replace(robot().camera("cam_low"), width=320)
    mixed = replace(robot(), cameras={"cam_high": high, "cam_low": low})
    with pytest.raises(RobotConfigError, match="different sizes"):
        DirectCameras("insertion", mixed)
