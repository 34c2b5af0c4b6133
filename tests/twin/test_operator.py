"""The scripted operator: its states, its hands, and whether it can do the job."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.control.teleop import Pair
from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.robot.joints import LEADERS
from aloha_stack.twin.operator import NotReadyError, Operator
from aloha_stack.twin.operator_motion import Motion
from aloha_stack.twin.operator_rehearsal import rehearse
from aloha_stack.twin.operator_script import NoScriptError, find_script
from aloha_stack.twin.world import World

DT = 0.01


@cache
def robot() -> Robot:
    return load_robot("twin", {"ALOHA_PORTS": "ports"})


@cache
def still_world(task: str = "transfer_cube") -> World:
    return World(task, 0, robot(), "start")


def follow(operator: Operator, since_s: float, seconds: float, engaged: bool | None) -> list:
    return [
        operator.update(since_s + step * DT, engaged) for step in range(round(seconds / DT) + 1)
    ]


def gestures(track: list, leader: str) -> int:
    """How often the handle was closed at the start pose, after having been open there."""
    arm = robot().arm(leader)
    count, opened = 0, False
    for hands in track:
        position = hands[leader][0]
        home = np.allclose(position[:6], arm.start_pose[:6], atol=1e-3)
        if home and position[6] > arm.gripper.engage_below_rad + 0.1:
            opened = True
        elif home and opened and position[6] < arm.gripper.engage_below_rad:
            count, opened = count + 1, False
    return count


def test_it_comes_home_squeezes_until_followed_and_opens_then() -> None:
    operator = Operator(still_world(), robot())
    track = follow(operator, 0.0, 12.0, engaged=False)
    assert operator.state == "homing"
    for leader in LEADERS:
        assert gestures(track, leader) >= 3
    hands = follow(operator, 12.0, 3.0, engaged=True)[-1]
    assert operator.state == "ready"
    assert operator.ready
    for leader in LEADERS:
        assert hands[leader][0][:6] == pytest.approx(robot().arm(leader).start_pose[:6])


def test_ready_it_holds_the_followers_at_the_start_pose_that_rollouts_begin_with() -> None:
    operator = Operator(still_world(), robot())
    hands = follow(operator, 0.0, 6.0, engaged=True)[-1]
    assert operator.ready
    for side in ("left", "right"):
        leader, follower = robot().arm(f"leader_{side}"), robot().arm(f"follower_{side}")
        target = Pair(leader, follower).target(hands[leader.name][0])
        assert target == pytest.approx(follower.start_pose, abs=1e-3)


def test_where_nobody_can_tell_it_takes_engagement_for_granted() -> None:
    operator = Operator(still_world(), robot())
    follow(operator, 0.0, 5.0, engaged=None)
    assert operator.ready


def test_it_opens_and_squeezes_again_when_the_followers_leave_it() -> None:
    operator = Operator(still_world(), robot())
    follow(operator, 0.0, 6.0, engaged=True)
    assert operator.ready
    track = follow(operator, 6.0, 3.0, engaged=False)
    assert operator.state == "homing"
    assert gestures(track, "leader_left") >= 1


def test_it_comes_home_from_closed_handles_by_opening_them_first() -> None:
    operator = Operator(still_world(), robot())
    closed = {leader: robot().arm(leader).start_pose.copy() for leader in LEADERS}
    for leader, position in closed.items():
        position[6] = robot().arm(leader).gripper.joint_close_rad
    operator.reset(closed)
    track = follow(operator, 0.0, 2.0, engaged=False)
    for leader in LEADERS:
        assert gestures(track, leader) == 1


def test_it_does_not_perform_before_it_is_ready() -> None:
    operator = Operator(still_world(), robot())
    operator.update(0.5, False)
    with pytest.raises(NotReadyError, match="homing, not ready"):
        operator.perform()


def test_it_performs_to_the_end_and_can_be_sent_home_from_there() -> None:
    operator = Operator(still_world(), robot())
    follow(operator, 0.0, 5.0, engaged=True)
    operator.perform()
    follow(operator, 5.0, 6.0, engaged=True)
    assert operator.state == "done"
    operator.reset()
    follow(operator, 11.0, 6.0, engaged=True)
    assert operator.ready


def test_it_goes_home_from_where_the_leaders_are() -> None:
    operator = Operator(still_world(), robot())
    found = {leader: np.full(7, 0.3) for leader in LEADERS}
    operator.reset(found)
    hands = operator.update(0.0, False)
    for leader in LEADERS:
        assert hands[leader][0] == pytest.approx(found[leader])


@pytest.mark.parametrize(
    ("task", "seed"), [*(("transfer_cube", seed) for seed in range(6)), ("pick_place", 3)]
)
def test_its_hands_move_smoothly_and_no_faster_than_servos_follow(task: str, seed: int) -> None:
    world = still_world(task)
    world.reset(seed)
    operator = Operator(world, robot())
    track = follow(operator, 0.0, 5.0, engaged=True)
    operator.perform()
    track += follow(operator, 5.0, 6.0, engaged=True)[1:]
    for leader in LEADERS:
        limits = robot().arm(leader).limits
        positions = np.array([hands[leader][0] for hands in track])
        velocities = np.array([hands[leader][1] for hands in track])
        assert np.abs(velocities[:, :6]).max() < 0.9 * limits.velocity[:6].min()
        assert np.abs(np.diff(velocities[:, :6], axis=0)).max() < 25 * DT
        middle = (velocities[1:] + velocities[:-1]) / 2
        assert np.diff(positions, axis=0) / DT == pytest.approx(middle, abs=0.03)
        assert np.all(positions >= limits.lower)
        assert np.all(positions <= limits.upper)


def test_a_task_nobody_taught_it_is_named() -> None:
    with pytest.raises(NoScriptError, match="no scripted operator for juggling yet"):
        find_script("juggling")


@pytest.mark.parametrize(
    ("delay_s", "pose", "seed"),
    [
        *((delay_s, "start", seed) for delay_s in (0.0, 0.03, 0.06) for seed in range(2)),
        *((0.03, "start", seed) for seed in (11, 47, 55, 106)),  # wrist near straight
        (0.0, "rest", 4),
    ],
)
def test_it_hands_the_cube_over(delay_s: float, pose: str, seed: int) -> None:
    rehearsal = rehearse(World("transfer_cube", seed, robot(), pose), robot(), delay_s)
    assert rehearsal.best_reward == 4
    assert rehearsal.success_tick is not None
    assert rehearsal.success_tick < 280


@pytest.mark.parametrize(
    ("delay_s", "seed"), [*((0.0, seed) for seed in range(3)), (0.06, 3), (0.06, 6)]
)
def test_it_puts_the_peg_into_the_socket(delay_s: float, seed: int) -> None:
    rehearsal = rehearse(World("insertion", seed, robot(), "start"), robot(), delay_s)
    assert rehearsal.best_reward == 4
    assert rehearsal.success_tick is not None
    assert rehearsal.success_tick < 280


@pytest.mark.parametrize(
    ("delay_s", "variation", "seed"),
    [(0.0, "A", 0), (0.06, "E", 1), (0.03, "range", 0), (0.03, "untaught", 5)],
)
def test_it_puts_the_cube_into_the_tray(delay_s: float, variation: str, seed: int) -> None:
    world = World("pick_place", seed, robot(), "start", variation)
    rehearsal = rehearse(world, robot(), delay_s)
    assert (rehearsal.best_reward, rehearsal.final_reward) == (4, 4)
    assert rehearsal.success_tick is not None
    assert rehearsal.success_tick < 280


def test_it_does_one_episode_after_another_in_the_same_world() -> None:
    world = World("transfer_cube", 0, robot(), "start")
    for seed in (0, 1, 2):
        world.reset(seed)
        assert rehearse(world, robot()).best_reward == 4


@given(
    st.lists(st.floats(0.05, 3.0), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_a_motion_visits_its_keys_at_rest_and_its_velocity_is_its_slope(
    lengths: list[float], seed: int
) -> None:
    times = np.cumsum([0.0, *lengths])
    poses = np.random.default_rng(seed).uniform(-1, 1, (len(times), 7))
    motion = Motion(times, poses)
    for time_s, pose in zip(times, poses, strict=True):
        position, velocity = motion.at(float(time_s))
        assert position == pytest.approx(pose, abs=1e-9)
        assert velocity == pytest.approx(np.zeros(7), abs=1e-9)
    for time_s in np.linspace(0.01, times[-1] - 0.01, 7):
        slope = (motion.at(time_s + 1e-5)[0] - motion.at(time_s - 1e-5)[0]) / 2e-5
        assert motion.at(time_s)[1] == pytest.approx(slope, abs=2e-2)
    assert motion.at(-1.0)[0] == pytest.approx(poses[0])
    assert motion.at(times[-1] + 1.0)[0] == pytest.approx(poses[-1])


def test_a_motion_whose_times_do_not_rise_is_refused() -> None:
    with pytest.raises(ValueError, match="times rising"):
        Motion(np.array([0.0, 0.0]), np.zeros((2, 7)))


def test_a_follower_that_was_stopped_on_its_way_is_met_where_it_is():
    robot = load_robot("twin", {"ALOHA_PORTS": "none"})
    world = World("transfer_cube", 0, robot, pose="start")
    elsewhere = robot.arm("follower_left").start_pose + np.array([0.4, 0.2, 0, 0, 0, 0.5, 0])
    world.command("follower_left", elsewhere, np.ones(7, dtype=bool))
    for _ in range(1000):
        world.step()
    operator = Operator(world, robot)
    met = False
    for tick in range(600):
        hands = operator.update(world.time_s + tick * 0.02, engaged=False)
        off = np.abs(hands["leader_left"][0] - world.state("follower_left")[0])[:6].max()
        met = met or (off < 0.1 and hands["leader_left"][0][6] < -0.3)
    assert met
    for tick in range(600, 900):
        hands = operator.update(world.time_s + tick * 0.02, engaged=True)
    assert operator.ready
    back = hands["leader_left"][0][:6]
    np.testing.assert_allclose(back, robot.arm("leader_left").start_pose[:6])
