"""Reach: where arms begin, what counts as the hand-over, and that it can be moved."""

from functools import cache

import mujoco
import numpy as np
import pytest

from aloha_stack.evaluation.disturbances import MOVED_M
from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.robot.joints import SIDES
from aloha_stack.twin.kinematics import ArmKinematics
from aloha_stack.twin.operator_rehearsal import rehearse
from aloha_stack.twin.reach import APART_M, AROUND_RAD, START_RAD, Reach
from aloha_stack.twin.world import World

HIGHEST = 3


@cache
def robot() -> Robot:
    return load_robot("twin", {"ALOHA_PORTS": "none"})


@pytest.fixture
def world() -> World:
    return World("reach", 0, robot(), "start")


def arm_of(world: World, side: str) -> ArmKinematics:
    limits = robot().arm(f"follower_{side}").limits
    return ArmKinematics(world.model, side, limits.soft_lower, limits.soft_upper)


def put(world: World, *sides: str, speed_rad_s: float = 0.0) -> int:
    """The grippers of `sides` at the goal; the reward there."""
    assert world.goal is not None
    for side in sides:
        joints = arm_of(world, side).inverse(world.goal.pose(side), np.array(START_RAD))
        arm = world._arms[f"follower_{side}"]
        arm.place(np.append(joints, 0.5))
        world.data.qvel[arm._dof[0]] = speed_rad_s
    mujoco.mj_forward(world.model, world.data)
    return world.reward()


def test_each_seed_has_starts_of_its_own_around_the_start_pose() -> None:
    task = Reach()
    for side in SIDES:
        starts = np.array([task.start(side, seed) for seed in range(50)])
        assert (np.abs(starts - START_RAD) <= AROUND_RAD).all()
        assert (np.ptp(starts, axis=0) > AROUND_RAD).all()
        assert np.array_equal(starts[3], task.start(side, 3))
    assert not np.array_equal(task.start("left", 0), task.start("right", 0))


def test_the_world_begins_there(world: World) -> None:
    for side in SIDES:
        begun = world.state(f"follower_{side}")[0][:6]
        np.testing.assert_allclose(begun, Reach().start(side, 0), atol=1e-6)


def test_no_start_touches_anything() -> None:
    world = World("reach", 0, robot(), "start")
    for seed in range(40):
        for side in SIDES:
            arm = robot().arm(f"follower_{side}")
            world._arms[arm.name].place(world.start_of(arm, seed))
        assert put(world) == 0
        pairs = [
            {world.model.body(world.model.geom_bodyid[geom]).name for geom in pair}
            for pair in world.data.contact.geom
        ]
        assert not [pair for pair in pairs if not all("vx300s" in name for name in pair)]


def test_both_grippers_at_rest_at_the_hand_over_are_success(world: World) -> None:
    assert put(world) == 0
    assert put(world, "left") == 1
    assert put(world, "left", "right", speed_rad_s=0.3) == 2
    assert put(world, "left", "right") == world.max_reward == HIGHEST


def test_a_hand_over_that_has_moved_is_somewhere_else_until_the_next_episode(world: World) -> None:
    assert world.goal is not None
    home = world.goal.pose("left").position
    assert put(world, *SIDES) == HIGHEST
    world.goal.move(np.array([0.0, 0.03, 0.0]))
    assert world.reward() == 0
    assert put(world, *SIDES) == HIGHEST
    apart = world.goal.pose("right").position - world.goal.pose("left").position
    np.testing.assert_allclose(apart, [APART_M, 0, 0], atol=1e-9)
    world.reset(0)
    np.testing.assert_array_equal(world.goal.pose("left").position, home)


def test_wherever_it_may_be_moved_both_arms_can_be_near_the_joints_that_they_have(
    world: World,
) -> None:
    assert world.goal is not None
    for side in SIDES:
        arm = arm_of(world, side)
        here = arm.inverse(world.goal.pose(side), np.array(START_RAD))
        for corner in np.ndindex(2, 2, 2):
            world.goal.move(MOVED_M * (2 * np.array(corner) - 1))
            there = arm.inverse(world.goal.pose(side), here)
            assert np.abs(there - here).max() < 0.6
        world.goal.move(np.zeros(3))


def test_the_scripted_operator_brings_both_there() -> None:
    result = rehearse(World("reach", 1, robot(), "start"), robot())
    assert result.final_reward == HIGHEST
    assert result.success_tick is not None
