"""Kinematics of the ViperX against MuJoCo, and its inverse."""

from functools import cache
from math import pi, radians

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.robot.description import load_robot
from aloha_stack.twin.kinematics import (
    ArmKinematics,
    Pose,
    UnreachableError,
    gripper_rotation,
)
from aloha_stack.twin.tasks import find_task

START = np.array([0, -0.96, 1.16, 0, -0.3, 0])


@cache
def arm(side: str) -> ArmKinematics:
    limits = load_robot("twin", {"ALOHA_PORTS": "p"}).arm(f"follower_{side}").limits
    model = find_task("transfer_cube").load_scene()
    return ArmKinematics(model, side, limits.soft_lower, limits.soft_upper)


def test_the_pinch_point_lies_between_the_fingertips() -> None:
    model = find_task("transfer_cube").load_scene()
    data = mujoco.MjData(model)
    data.qpos[:8] = [*START, 0.03, -0.03]
    mujoco.mj_forward(model, data)
    tips = []
    for side in ("left", "right"):
        geom = model.geom(f"vx300s_left/10_{side}_gripper_finger")
        mesh = model.mesh(geom.dataid[0])
        first = mesh.vertadr[0]
        vertices = model.mesh_vert[first : first + mesh.vertnum[0]]
        world = vertices @ data.geom_xmat[geom.id].reshape(3, 3).T + data.geom_xpos[geom.id]
        ahead = world @ data.body("vx300s_left/gripper_link").xmat.reshape(3, 3)[:, 0]
        tips.append(world[ahead > ahead.max() - 0.03].mean(axis=0))
    assert arm("left").forward(START).position == pytest.approx(np.mean(tips, axis=0), abs=0.01)


def test_the_arms_face_each_other() -> None:
    left, right = (arm(side).forward(START) for side in ("left", "right"))
    assert left.position[0] == pytest.approx(-right.position[0], abs=1e-4)
    assert left.position[1:] == pytest.approx(right.position[1:], abs=1e-4)
    assert left.rotation[0, 0] > 0.9
    assert right.rotation[0, 0] < -0.9


@given(
    st.sampled_from(["left", "right"]),
    st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_inverse_leads_where_forward_came_from(side: str, offset: list[float]) -> None:
    kinematics = arm(side)
    there = np.clip(START + offset, kinematics.lower, kinematics.upper)
    target = kinematics.forward(there)
    joints = kinematics.inverse(target, START)
    found = kinematics.forward(joints)
    assert found.position == pytest.approx(target.position, abs=3e-4)
    assert np.abs(found.rotation - target.rotation).max() < 5e-3
    assert np.all(joints >= kinematics.lower)
    assert np.all(joints <= kinematics.upper)


@pytest.mark.parametrize("seed", range(0, 150, 7))
def test_every_cube_is_grasped_without_turning_the_wrist_round(seed: int) -> None:
    """Near a straight wrist the descent may end half a turn away: see `_flipped`."""
    from gym_aloha.utils import sample_box_pose

    x, y, _ = sample_box_pose(seed)[:3]
    target = Pose(np.array([x, y, 0.018]), gripper_rotation(pi, radians(60), 0.0))
    joints = arm("right").inverse(target, START)
    assert abs(joints[3]) < pi / 2


def test_an_unreachable_pose_is_refused_with_its_place() -> None:
    with pytest.raises(UnreachableError, match=r"2\. .*mm away"):
        arm("left").inverse(Pose(np.array([2.0, 0.5, 0.3]), np.eye(3)), START)


def test_calls_do_not_depend_on_earlier_calls() -> None:
    target = arm("left").forward(START + 0.2)
    first = arm("left").inverse(target, START)
    arm("left").forward(START - 0.4)
    assert np.array_equal(arm("left").inverse(target, START), first)
