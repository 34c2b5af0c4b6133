"""The grip of an arm's servos: whatever fails on the way, nothing jumps.

Regressions pinned: a second attempt that believed in goals which the servos never took; torque for
joints that a hand had turned beyond their servos' limits.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.errors import ServoSilent
from aloha_stack.nodes._arm_hold import KEEP_RAD, ArmHold
from aloha_stack.nodes._jobs import Refused
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.virtual_bench import BenchArm
from aloha_stack.twin.virtual_port import VirtualPort, serving

WAIST = JOINTS.index("waist")
WATCHDOG_S = 2.0


@pytest.fixture
def servos(tmp_path: Path) -> Iterator[BenchArm]:
    arm = load_robot("twin", {"ALOHA_PORTS": str(tmp_path)}).arm("follower_left")
    made = BenchArm(arm)
    with serving([VirtualPort(tmp_path, "ttyDXL_follower_left", made)], time.monotonic):
        yield made


@pytest.fixture
def hold(servos: BenchArm) -> Iterator[ArmHold]:
    bus = DynamixelBus(servos.arm)
    bus.open()
    bus.configure()
    yield ArmHold(bus, WATCHDOG_S)
    bus.close()


def test_joints_that_hold_keep_their_goals(servos: BenchArm, hold: ArmHold) -> None:
    before = hold.take()
    sag = np.full(len(JOINTS), KEEP_RAD / 2)
    servos.speed_rad_s = 0.0
    servos.place(before + sag)
    assert np.array_equal(hold.take(keep=True), before)


def test_an_attempt_that_fails_leaves_no_goals_that_the_next_would_jump_to(
    servos: BenchArm, hold: ArmHold, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands = hold.take()[WAIST]
    servos.speed_rad_s = 0.0
    hold.write(servos.position + np.eye(len(JOINTS))[WAIST] * KEEP_RAD / 2)
    # The waist's watchdog has tripped, and it stands where it was; then another servo is silent.
    servos.servos[1].put("bus_watchdog", -1)
    servos.servos[1]._cache_hot()
    right = hold.bus.set_watchdog

    def clears_then_fails(timeout_s: float) -> None:
        right(timeout_s)
        raise ServoSilent("servo 9 is silent", (9,))

    monkeypatch.setattr(hold.bus, "set_watchdog", clears_then_fails)
    with pytest.raises(ServoSilent):
        hold.take(keep=True)
    monkeypatch.setattr(hold.bus, "set_watchdog", right)
    assert hold.take(keep=True)[WAIST] == pytest.approx(stands, abs=0.002)
    assert hold.bus.read().position[WAIST] == pytest.approx(stands, abs=0.002)


def test_a_goal_far_from_its_joint_is_not_kept(servos: BenchArm, hold: ArmHold) -> None:
    goals = hold.take()
    servos.speed_rad_s = 0.0
    stands = goals[WAIST] + 2 * KEEP_RAD
    servos.place(goals + np.eye(len(JOINTS))[WAIST] * 2 * KEEP_RAD)
    assert hold.take(keep=True)[WAIST] == pytest.approx(stands, abs=0.002)


@pytest.mark.parametrize("keep", [False, True])
def test_a_limp_joint_beyond_its_servos_limits_is_refused_by_name(
    servos: BenchArm, hold: ArmHold, keep: bool
) -> None:
    beyond = np.array(servos.arm.rest_pose)
    beyond[WAIST] = 3.4
    servos.place(beyond)
    with pytest.raises(Refused, match=r"waist stands at 3\.40 rad.*move it back by hand"):
        hold.take(keep)
    assert not any(hold.bus.torque().values())
    assert servos.position[WAIST] == pytest.approx(3.4)


def test_a_joint_whose_shadow_alone_is_limp_keeps_its_goal(servos: BenchArm, hold: ArmHold) -> None:
    before = hold.take()
    servos.speed_rad_s = 0.0
    servos.place(before + KEEP_RAD / 2)
    servos.servos[3].put("torque_enable", 0)
    assert np.array_equal(hold.take(keep=True), before)


@pytest.mark.parametrize("beyond_rad", [np.pi, np.pi + 0.01, -np.pi - 0.01])
def test_a_limp_joint_a_little_beyond_its_one_turn_is_refused(
    servos: BenchArm, hold: ArmHold, beyond_rad: float
) -> None:
    """With torque the servo would forget the turn, and run through it to the nearest goal."""
    stands = servos.position.copy()
    stands[WAIST] = beyond_rad
    servos.place(stands)
    with pytest.raises(Refused, match="waist stands at"):
        hold.take()
    assert not any(hold.bus.torque().values())
