"""Robot files: what they say, how they are refused, and how little twin and robot differ."""

import shutil

import numpy as np
import pytest
import yaml

from aloha_stack.robot.description import RobotConfigError, load_robot, robot_names
from aloha_stack.robot.gripper import finger_from_joint
from aloha_stack.robot.joints import ARMS, CAMERAS, JOINTS
from aloha_stack.robot.share import share_folder

PORTS = {"ALOHA_PORTS": "/ports"}


@pytest.fixture
def config(tmp_path):
    """A copy of config/ that a test may spoil."""
    shutil.copytree(share_folder() / "config", tmp_path / "config")
    return tmp_path / "config"


def spoil(path, change):
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values))


@pytest.mark.parametrize("name", ["aloha", "twin"])
def test_robot_has_four_arms_and_four_cameras(name):
    robot = load_robot(name, PORTS)
    assert tuple(robot.arms) == ARMS
    assert tuple(robot.cameras) == CAMERAS
    assert [arm.name for arm in robot.leaders] == ["leader_left", "leader_right"]
    for arm in robot.arms.values():
        assert len(arm.servos) == 9
        assert [servo.joint for servo in arm.addressed] == list(JOINTS)
        assert {servo.shadow_of for servo in arm.servos} == {None, 2, 4}


def test_twin_and_robot_files_differ_only_in_ports_sources_and_calibration():
    files = [
        yaml.safe_load((share_folder() / f"config/robots/{name}.yaml").read_text())
        for name in ("aloha", "twin")
    ]
    for values in files:
        values.pop("name")
        for arm in values["arms"].values():
            arm.pop("port")
            arm.pop("homing_offsets")
        for camera in values["cameras"].values():
            camera.pop("source")
            camera.pop("calibration")
    assert files[0] == files[1]


def test_start_pose_of_the_follower_has_gym_alohas_finger_opening():
    arm = load_robot("twin", PORTS).arm("follower_left")
    assert finger_from_joint(arm.start_pose[-1], arm.gripper.linkage) == pytest.approx(
        0.02239, abs=1e-5
    )


def test_ports_come_from_the_environment():
    assert load_robot("twin", PORTS).arm("leader_left").port == "/ports/ttyDXL_leader_left"
    with pytest.raises(RobotConfigError, match=r"ALOHA_PORTS.*not set"):
        load_robot("twin", {})


def test_unknown_robot_arm_and_camera_are_named_with_what_exists():
    with pytest.raises(RobotConfigError, match=r"no robot 'alhoa'.*aloha, twin"):
        load_robot("alhoa", PORTS)
    assert robot_names() == ["aloha", "twin"]
    robot = load_robot("twin", PORTS)
    with pytest.raises(RobotConfigError, match=r"no arm 'left'.*leader_left"):
        robot.arm("left")
    with pytest.raises(RobotConfigError, match=r"no camera 'top'.*cam_high"):
        robot.camera("top")


def test_two_arms_on_one_port_are_refused(config):
    path = config / "robots/aloha.yaml"
    spoil(path, lambda v: v["arms"]["leader_left"].update(port=v["arms"]["leader_right"]["port"]))
    with pytest.raises(RobotConfigError, match="share the port"):
        load_robot(path, PORTS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda v: v["limits"].pop("elbow"), r"limits.elbow: missing"),
        (lambda v: v["limits"]["elbow"].update(jerk=0), r"limits.elbow.jerk: 0.* outside"),
        (lambda v: v["limits"]["elbow"].update(lower=float("nan")), r"elbow.lower: .*finite"),
        (lambda v: v["limits"]["elbow"].update(lower=2.0), r"lower must lie below upper"),
        (lambda v: v["poses"]["rest"].update(waist=4.0), r"poses.rest.waist: .*outside the limits"),
        (lambda v: v["servos"][0].update(model="xm999"), r"servos\[0\].model: 'xm999' is none of"),
        (lambda v: v["servos"][0].update(id=2), r"ID 2 stands twice"),
        (lambda v: v["servos"][2].update(shadow_of=4), r"ID 3 shadows 4"),
        (lambda v: v["servos"].pop(0), r"each joint needs one servo.*waist"),
        (lambda v: v.update(servos=[]), r"servos: expected a list"),
    ],
)
def test_impossible_arm_files_are_refused_by_key(config, change, complaint):
    spoil(config / "arms/vx300s.yaml", change)
    with pytest.raises(RobotConfigError, match=complaint):
        load_robot(config / "robots/aloha.yaml", PORTS)


def test_limits_are_read_only_and_hold_the_poses():
    arm = load_robot("twin", PORTS).arm("follower_right")
    assert np.all(arm.start_pose >= arm.limits.soft_lower)
    with pytest.raises(ValueError, match="read-only"):
        arm.limits.lower[0] = 0.0
