"""Targets to physics without ROS: the graph's delays, its ticks, its limits and its refusals."""

from functools import cache

import numpy as np
import pytest

from aloha_stack.control.arm_modes import Mode
from aloha_stack.dynamixel.units import RAD_PER_TICK
from aloha_stack.robot.description import Robot, load_robot
from aloha_stack.robot.joints import FOLLOWERS
from aloha_stack.twin.direct import CYCLE_NS, TICK_NS, DirectArms
from aloha_stack.twin.direct_teleop import DirectTeleop
from aloha_stack.twin.operator_rehearsal import await_ready
from aloha_stack.twin.world import World

LEFT = FOLLOWERS[0]


@cache
def robot() -> Robot:
    return load_robot("twin", {"ALOHA_PORTS": "ports"})


def arms_at_start(delay_s: float = 0.0) -> DirectArms:
    arms = DirectArms(World("transfer_cube", 0, robot(), "start"), robot(), delay_s)
    arms.step_tick(start_pose())
    return arms


def start_pose(shift_rad: float = 0.0) -> dict[str, np.ndarray]:
    shift = np.array([shift_rad, 0, 0, 0, 0, 0, 0])
    return {name: robot().arm(name).start_pose + shift for name in FOLLOWERS}


def drift(tick: int) -> float:
    """A waist that sets off smoothly and then turns at 0.2 rad/s."""
    time_s = tick * 0.02
    return 0.2 * time_s**2 / 2 if time_s < 1 else 0.1 + 0.2 * (time_s - 1)


def test_a_tick_takes_20_ms_and_the_newest_reading_is_10_ms_old_after_it() -> None:
    arms = arms_at_start()
    before_ns = arms.world.time_ns
    arms.step_tick(start_pose())
    assert arms.world.time_ns - before_ns == TICK_NS
    for name in FOLLOWERS:
        assert arms.world.time_ns - arms.measured()[name].stamp_ns == CYCLE_NS
        assert arms.executed()[name].stamp_ns == arms.measured()[name].stamp_ns


def test_readings_and_goals_are_whole_ticks() -> None:
    arms = arms_at_start()
    for tick in range(60):
        arms.step_tick(start_pose(drift(tick)))
        for name in FOLLOWERS:
            for values in (arms.measured()[name].position, arms.executed()[name].position):
                ticks = values / RAD_PER_TICK
                np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-6)


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.06])
def test_goals_follow_the_targets_one_period_behind_and_later_by_the_delay(delay_s: float) -> None:
    arms = arms_at_start(delay_s)
    goals = []
    for tick in range(120):
        for _ in range(2):
            arms.cycle(start_pose(drift(tick)) if _ == 0 else None)
            goals.append(arms.executed()[LEFT].position[0])
    # 20 ms for the course. A cycle more where the target is sent within a tick.
    moved = np.array(goals) - robot().arm(LEFT).start_pose[0]
    late_s = 2.0 - 0.5 - moved[200] / 0.2
    assert late_s == pytest.approx(0.02 + delay_s, abs=0.006)


def test_a_leader_s_motion_is_in_the_goals_30_ms_later() -> None:
    chain = DirectTeleop(World("transfer_cube", 0, robot(), "start"), robot())
    await_ready(chain)
    chain.operator.perform()
    leader, goals = [], []
    for _ in range(140):
        chain.cycle()
        leader.append(chain.leaders()["leader_right"].position[:3])
        goals.append(chain.arms.executed()["follower_right"].position[:3])
    led, followed = np.array(leader), np.array(goals)
    errors = [np.abs(led[10 - k : 130 - k] - followed[10:130]).mean() for k in range(7)]
    assert int(np.argmin(errors)) == 3


def test_a_far_target_is_approached_within_the_limits() -> None:
    arms = arms_at_start()
    goals = []
    for _ in range(50):
        arms.step_tick(start_pose(1.0))
        goals.append(arms.executed()[LEFT].position[0])
    speed = np.diff(goals) / 0.02
    assert speed.max() <= robot().arm(LEFT).limits.velocity[0] + 0.1
    assert goals[-1] > robot().arm(LEFT).start_pose[0] + 0.2


@pytest.mark.parametrize("bad", [np.full(7, np.nan), np.zeros(6), np.full(7, 1e9)])
def test_a_target_that_is_none_moves_nothing_and_is_counted(bad: np.ndarray) -> None:
    arms = arms_at_start()
    here = arms.executed()[LEFT].position
    for _ in range(20):
        arms.step_tick({LEFT: bad})
    np.testing.assert_allclose(arms.executed()[LEFT].position, here, atol=2 * RAD_PER_TICK)
    assert arms.rejected == 20
    assert arms.modes()[LEFT] == Mode.HOLDING


def test_without_targets_it_holds_and_says_why() -> None:
    arms = arms_at_start()
    for _ in range(10):
        arms.step_tick({})
    assert set(arms.modes().values()) == {Mode.HOLDING}
    assert "late" in arms.controllers()[LEFT].reason


def test_an_unknown_arm_is_named() -> None:
    with pytest.raises(ValueError, match="no follower 'third'; there is follower_left"):
        arms_at_start().step_tick({"third": np.zeros(7)})


def test_nothing_has_been_measured_before_the_first_cycle() -> None:
    arms = DirectArms(World("transfer_cube", 0, robot(), "start"), robot())
    with pytest.raises(RuntimeError, match="call cycle"):
        arms.measured()


def test_the_same_targets_make_the_same_world() -> None:
    ends = []
    for _ in range(2):
        arms = arms_at_start()
        for tick in range(40):
            arms.step_tick(start_pose(drift(tick)))
        ends.append(arms.world.qpos())
    np.testing.assert_array_equal(*ends)
