"""Gripper constants beyond the joint's limits are refused by name; wider limits allow them."""

import pytest
import yaml

from aloha_stack.robot.description import RobotConfigError, load_robot
from aloha_stack.robot.share import share_folder

INTERBOTIX = {
    "joint_open_rad": 1.6214,
    "joint_close_rad": 0.6197,
    "finger_open_m": 0.0579,
    "finger_close_m": 0.0440,
}


def own_robot(tmp_path, follower):
    values = yaml.safe_load((share_folder() / "config/robots/aloha.yaml").read_text())
    values["grippers"]["follower"] = follower
    (tmp_path / "robots").mkdir()
    file = tmp_path / "robots/own.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def test_a_gripper_that_opens_beyond_its_limit_is_refused_by_name(tmp_path):
    with pytest.raises(RobotConfigError) as refused:
        load_robot(own_robot(tmp_path, INTERBOTIX))
    told = str(refused.value)
    assert "grippers.follower.joint_open_rad: 1.6214 is beyond the gripper's limits" in told
    assert "-0.69 … 1.55 (vx300s.yaml: limits.gripper)" in told


def test_a_model_file_of_ones_own_with_a_wider_limit_allows_it(tmp_path):
    file = own_robot(tmp_path, INTERBOTIX)
    text = (share_folder() / "config/arms/vx300s.yaml").read_text()
    (tmp_path / "arms").mkdir()
    (tmp_path / "arms/vx300s.yaml").write_text(text.replace("upper: 1.56000", "upper: 1.65000"))
    assert load_robot(file).arm("follower_left").gripper.joint_open_rad == 1.6214
