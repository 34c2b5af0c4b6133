"""The physical world: gym-aloha's scene, moved by servo goals, limp without torque."""

from functools import cache

import mujoco
import numpy as np
import pytest

from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.twin.world import World, WorldDiverged

ON, OFF = np.ones(7, dtype=bool), np.zeros(7, dtype=bool)
FOLLOWERS = ("follower_left", "follower_right")


@cache
def robot() -> Robot:
    return load_robot("twin", {"ALOHA_PORTS": "ports"})


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds / world.step_s)):
        world.step()


def test_time_counts_steps_of_two_milliseconds() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    assert world.time_ns == 0
    run(world, 0.1)
    assert world.time_ns == 100_000_000
    assert world.data.time == pytest.approx(world.time_s)


def test_arms_are_found_folded_limp_and_at_rest() -> None:
    world = World("transfer_cube", 0, robot())
    before = {arm: world.state(arm)[0] for arm in FOLLOWERS}
    run(world, 2.0)
    for arm in FOLLOWERS:
        position, velocity, effort = world.state(arm)
        assert np.abs(position - before[arm]).max() < 0.05
        assert np.abs(velocity).max() < 0.1
        assert np.all(effort == 0.0)


@pytest.mark.parametrize("arm", FOLLOWERS)
def test_goals_move_that_arm_and_no_other(arm: str) -> None:
    world = World("transfer_cube", 0, robot(), "start")
    start = robot().arm(arm).start_pose
    goal = start + np.array([0.3, 0.2, -0.2, 0.4, 0.3, -0.5, 0.9])
    world.command(arm, goal, ON)
    run(world, 1.5)
    assert world.state(arm)[0] == pytest.approx(goal, abs=0.02)
    other = FOLLOWERS[1 - FOLLOWERS.index(arm)]
    assert world.state(other)[0][:6] == pytest.approx(start[:6], abs=0.02)


def test_the_gripper_servo_moves_both_fingers_through_its_linkage() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    goal = robot().arm("follower_left").start_pose.copy()
    goal[6] = 0.6197  # 44.0 mm by Interbotix/aloha's constants
    world.command("follower_left", goal, ON)
    run(world, 1.5)
    left = world.data.joint("vx300s_left/left_finger").qpos[0]
    right = world.data.joint("vx300s_left/right_finger").qpos[0]
    assert (left, right) == pytest.approx((0.0440, -0.0440), abs=1e-3)
    assert world.state("follower_left")[0][6] == pytest.approx(goal[6], abs=0.03)


def test_velocity_is_the_rate_of_position_at_the_gripper_too() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    goal = robot().arm("follower_left").start_pose + np.array([0.5, 0, 0, 0, 0, 0, 1.2])
    world.command("follower_left", goal, ON)
    run(world, 0.15)
    before, _, _ = world.state("follower_left")
    world.step()
    after, velocity, _ = world.state("follower_left")
    rate = (after - before) / world.step_s
    assert rate[[0, 6]] == pytest.approx(velocity[[0, 6]], rel=0.2)
    assert velocity[6] > 0.3


def test_holding_an_arm_out_takes_effort_against_its_weight() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    run(world, 1.0)
    effort = world.state("follower_left")[2]
    assert effort[2] < -1.0  # the elbow, up against the weight of the forearm


def test_servos_turn_no_faster_than_they_can() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    arm = robot().arm("follower_left")
    world.command("follower_left", arm.start_pose + np.array([2.0, 0, 0, 0, 0, 0, 0]), ON)
    run(world, 0.3)
    moved = world.state("follower_left")[0][0] - arm.start_pose[0]
    assert 0.5 < moved <= 0.3 * arm.limits.velocity[0] + 0.01


def test_an_arm_without_torque_falls_and_comes_to_rest() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    start = world.state("follower_left")[0]
    world.command("follower_left", start, OFF)
    run(world, 4.0)
    position, velocity, _ = world.state("follower_left")
    assert position[1] < start[1] - 0.5  # sinks back onto its stops
    assert np.abs(velocity).max() < 0.1
    other = world.state("follower_right")[0]
    assert other[:6] == pytest.approx(robot().arm("follower_right").start_pose[:6], abs=0.02)


def test_a_single_joint_without_torque_gives_way_while_the_others_hold() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    start = robot().arm("follower_left").start_pose
    torque = ON.copy()
    torque[2] = False
    world.command("follower_left", start, torque)
    run(world, 1.5)
    position = world.state("follower_left")[0]
    assert position[2] > start[2] + 0.2
    assert position[[0, 1, 3, 5]] == pytest.approx(start[[0, 1, 3, 5]], abs=0.05)


def test_torque_that_comes_back_takes_the_joint_to_the_goal_in_the_register() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    start = robot().arm("follower_left").start_pose
    world.command("follower_left", start, OFF)
    run(world, 2.0)
    world.command("follower_left", start, ON)
    run(world, 2.0)
    assert world.state("follower_left")[0][:6] == pytest.approx(start[:6], abs=0.02)


def test_goals_beyond_the_limits_are_held_at_the_limit() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    goal = robot().arm("follower_left").start_pose.copy()
    goal[5] = 10.0
    world.command("follower_left", goal, ON)
    run(world, 2.0)
    assert world.state("follower_left")[0][5] == pytest.approx(np.pi, abs=0.02)


@pytest.mark.parametrize("whole_arm", [True, False])
def test_wild_goals_and_torque_do_not_upset_the_physics(whole_arm: bool) -> None:
    world = World("transfer_cube", 0, robot(), "start")
    random = np.random.default_rng(1)
    limits = robot().arm("follower_left").limits
    for _ in range(40):
        for arm in FOLLOWERS:
            torque = np.full(7, random.random() < 0.6) if whole_arm else random.random(7) < 0.6
            world.command(arm, random.uniform(limits.lower, limits.upper), torque)
        run(world, 0.1)
    assert np.isfinite(world.qpos()).all()


def test_unstable_physics_is_named_not_hidden() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    world.data.qvel[1] = np.nan
    with pytest.raises(WorldDiverged, match=r"diverged at 0\.\d+ s .*vx300s_left"):
        run(world, 0.01)


def test_a_seed_fixes_the_objects_and_a_reset_leaves_the_arms_alone() -> None:
    from gym_aloha.utils import sample_box_pose

    world = World("transfer_cube", 5, robot(), "start")
    run(world, 0.5)
    arms = world.qpos()[:16]
    world.reset(7)
    assert world.objects()["red_box_joint"] == pytest.approx(sample_box_pose(7))
    assert world.qpos()[:16] == pytest.approx(arms)
    assert world.seed == 7
    assert world.time_s == pytest.approx(0.5)


def test_insertion_has_its_peg_and_socket_where_gym_aloha_puts_them() -> None:
    from gym_aloha.utils import sample_insertion_pose

    world = World("insertion", 3, robot(), "start")
    peg, socket = sample_insertion_pose(3)
    assert world.objects()["red_peg_joint"] == pytest.approx(peg)
    assert world.objects()["blue_socket_joint"] == pytest.approx(socket)
    assert world.max_reward == 4
    run(world, 0.2)


def test_two_worlds_with_the_same_seed_and_goals_agree_exactly() -> None:
    ends = []
    for _ in range(2):
        world = World("transfer_cube", 2, robot())
        for arm in FOLLOWERS:
            world.command(arm, robot().arm(arm).start_pose, ON)
        run(world, 0.5)
        ends.append(world.qpos())
    assert np.array_equal(*ends)


@pytest.mark.parametrize(
    ("position", "torque", "complaint"),
    [
        (np.zeros(6), ON, r"7 joints \(waist"),
        (np.full(7, np.nan), ON, "finite"),
        (np.zeros(7), ON[:6], "7 joints"),
    ],
)
def test_bad_goals_are_refused(position: np.ndarray, torque: np.ndarray, complaint: str) -> None:
    world = World("transfer_cube", 0, robot(), "start")
    with pytest.raises(ValueError, match=complaint):
        world.command("follower_left", position, torque)


def test_an_arm_that_the_scene_lacks_is_named() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    with pytest.raises(ValueError, match="no arm 'leader_left'; it has follower_left"):
        world.state("leader_left")


def test_a_step_leaves_contacts_that_belong_to_its_positions() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    run(world, 0.3)
    pairs = {(c.geom1, c.geom2) for c in world.data.contact}
    fresh = mujoco.MjData(world.model)
    fresh.qpos[:] = world.qpos()
    mujoco.mj_forward(world.model, fresh)
    assert {(c.geom1, c.geom2) for c in fresh.contact} == pairs
