"""Nine servos and seven joints: signs, shadows, torque, and what the host's units make of it."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.dynamixel.packets import BROADCAST, REG_WRITE, SYNC_WRITE, WRITE, instruction
from aloha_stack.dynamixel.units import NM_PER_UNIT, RAD_PER_TICK
from aloha_stack.robot.description import Arm
from aloha_stack.twin.virtual_arm import VirtualArm
from aloha_stack.twin.virtual_bench import BenchArm
from twin.virtual_rig import arm_at

IDS = (1, 2, 4, 6, 7, 8, 9)
ARMS = ("follower_left", "leader_left")


def sync_write(address: int, size: int, values: dict[int, int]) -> bytes:
    window = address.to_bytes(2, "little") + size.to_bytes(2, "little")
    each = b"".join(
        bytes((i,)) + value.to_bytes(size, "little", signed=True) for i, value in values.items()
    )
    return instruction(BROADCAST, SYNC_WRITE, window + each)


def write(servo_id: int, address: int, value: int, size: int = 1) -> bytes:
    data = address.to_bytes(2, "little") + value.to_bytes(size, "little", signed=True)
    return instruction(servo_id, WRITE, data)


@pytest.fixture
def arm(tmp_path):
    return arm_at(tmp_path)


@pytest.mark.parametrize("name", ARMS)
def test_with_the_drive_modes_of_the_robot_file_every_servo_shows_its_joint(tmp_path, name):
    virtual = VirtualArm(arm_at(tmp_path, name))
    pose = np.array([0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7])
    virtual.update(pose, np.ones(7), np.zeros(7))
    virtual.handle(b"")
    for servo in virtual.arm.servos:
        joint = virtual.arm.addressed.index(
            next(s for s in virtual.arm.addressed if s.joint == servo.joint)
        )
        shown = (virtual.servos[servo.id].get("present_position") - 2048) * RAD_PER_TICK
        assert shown == pytest.approx(pose[joint], abs=RAD_PER_TICK / 2 + 1e-9), servo
        assert virtual.servos[servo.id].get("present_velocity") > 0


@pytest.mark.parametrize("name", ARMS)
def test_goals_come_back_as_joint_angles(tmp_path, name):
    virtual = VirtualArm(arm_at(tmp_path, name))
    ticks = dict(zip(IDS, (2000, 2100, 2200, 2300, 2400, 2500, 2600), strict=True))
    virtual.handle(sync_write(116, 4, ticks))
    goals, torque = virtual.goals()
    assert goals == pytest.approx((np.array(list(ticks.values())) - 2048) * RAD_PER_TICK)
    assert not torque.any()


def test_a_wrong_drive_mode_mirrors_the_joint(arm):
    right, wrong = VirtualArm(arm), VirtualArm(arm)
    wrong.handle(write(7, 10, 0))
    for virtual in (right, wrong):
        virtual.handle(write(7, 116, 2500, 4))
    assert wrong.goals()[0][4] == pytest.approx(-right.goals()[0][4])


def test_a_homing_offset_shifts_what_is_shown_and_what_is_meant_alike(arm):
    virtual = VirtualArm(arm)
    virtual.handle(write(1, 20, 100, 4))
    virtual.update(np.full(7, 0.2), np.zeros(7), np.zeros(7))
    virtual.handle(b"")
    shown = virtual.servos[1].get("present_position")
    assert shown == round(2048 + 100 + 0.2 / RAD_PER_TICK)
    virtual.handle(write(1, 116, shown, 4))
    assert virtual.goals()[0][0] == pytest.approx(0.2, abs=RAD_PER_TICK)


def test_it_comes_set_up_as_aloha_leaves_it(arm):
    virtual = VirtualArm(arm)
    servos = virtual.servos
    assert {servo.get("baud_rate") for servo in servos.values()} == {3}
    assert (servos[3].secondary_id, servos[5].secondary_id) == (2, 4)
    assert [i for i, servo in servos.items() if servo.get("drive_mode")] == [2, 4, 7]
    assert servos[2].get("max_position_limit") == 2867
    assert not any(servo.torque for servo in servos.values())
    assert servos[9].get("operating_mode") == 5
    assert servos[9].get("goal_current") == 300


def test_torque_shows_in_the_goals_joint_by_joint(arm):
    virtual = VirtualArm(arm)
    virtual.handle(sync_write(64, 1, dict.fromkeys(IDS, 1)))
    assert virtual.goals()[1].all()
    virtual.servos[6].fail(0x20)
    assert virtual.goals()[1].tolist() == [True, True, True, False, True, True, True]


def test_a_watchdog_that_trips_leaves_the_goal_at_the_present_position(arm):
    virtual = VirtualArm(arm)
    virtual.update(np.full(7, 0.1), np.zeros(7), np.zeros(7))
    virtual.handle(sync_write(64, 1, dict.fromkeys(IDS, 1)))
    virtual.handle(sync_write(98, 1, dict.fromkeys(IDS, 5)))
    virtual.handle(sync_write(116, 4, dict.fromkeys(IDS, 2500)))
    virtual.update(np.full(7, 0.15), np.zeros(7), np.zeros(7))
    virtual.advance(0.2)
    goals, torque = virtual.goals()
    assert goals == pytest.approx(np.full(7, 0.15), abs=RAD_PER_TICK)
    assert torque.all()


def test_the_servos_of_a_joint_share_its_effort(arm):
    virtual = VirtualArm(arm)
    virtual.update(np.zeros(7), np.zeros(7), np.full(7, 2.0))
    virtual.handle(b"")
    waist, shoulder, shadow = (virtual.servos[i].get("present_current") for i in (1, 2, 3))
    assert waist == pytest.approx(2.0 / (2.69e-3 * 10.6 / 4.4), abs=1)
    assert shoulder == shadow == pytest.approx(waist / 2, abs=1)


def test_goals_on_the_wire_are_logged_even_to_shadows_and_even_if_refused(arm):
    virtual = VirtualArm(arm)
    virtual.advance(1.5)
    virtual.handle(write(3, 116, 2000, 4) + write(2, 116, 9999, 4))
    assert list(virtual.written_goals) == [(1.5, 3, 2000), (1.5, 2, 9999)]


def test_who_listens_hears_of_every_goal_before_it_is_obeyed(arm):
    virtual = VirtualArm(arm)
    heard = []
    virtual.on_goal = lambda servo_id, ticks: heard.append(
        (servo_id, ticks, virtual.servos[servo_id].goal_ticks)
    )
    before = virtual.servos[1].goal_ticks
    virtual.handle(write(1, 116, 2100, 4))
    virtual.handle(write(1, 116, 2200, 4))
    assert heard == [(1, 2100, before), (1, 2200, 2100)]


@pytest.mark.parametrize(
    ("sent", "servo_id", "words"),
    [
        (write(3, 116, 2000, 4), 3, "to a shadow"),
        (sync_write(116, 4, {2: 2000, 5: 2000}), 5, "to a shadow"),
        (write(2, 116, 2868, 4), 2, "position limits 841 … 2867"),
        (instruction(2, REG_WRITE, b"\x74\x00" + bytes(4)), 2, "position limits"),
        (write(BROADCAST, 116, 2000, 4), BROADCAST, "to all servos"),
        (write(42, 116, 2000, 4), 42, "no servo of this arm"),
        (write(9, 102, 301, 2), 9, "beyond current_limit 300"),
    ],
)
def test_goals_that_no_host_may_send_are_noted(arm, sent, servo_id, words):
    virtual = VirtualArm(arm)
    virtual.advance(2.5)
    virtual.handle(sent)
    [(time_s, to, what)] = virtual.violations
    assert (time_s, to) == (2.5, servo_id)
    assert words in what


def test_what_a_sound_host_sends_violates_nothing(arm):
    virtual = VirtualArm(arm)
    virtual.handle(sync_write(64, 1, dict.fromkeys(range(1, 10), 1)))
    virtual.handle(sync_write(116, 4, dict.fromkeys(IDS, 2048)))
    virtual.handle(write(9, 102, 300, 2) + write(3, 84, 800, 2) + write(3, 112, 0, 4))
    assert not virtual.violations


def test_velocity_and_pwm_goals_count_where_they_move_something(arm):
    virtual = VirtualArm(arm)
    goals = write(6, 104, 10, 4) + write(6, 100, 10, 2)
    virtual.handle(goals)
    assert not virtual.violations
    for mode, name in ((1, "goal_velocity"), (16, "goal_pwm")):
        virtual.handle(write(6, 64, 0) + write(6, 11, mode) + write(6, 64, 1) + goals)
        assert [what.split()[0] for *_, what in virtual.violations] == [name]
        virtual.violations.clear()


def test_one_servo_of_a_pair_holds_the_joint_alone(arm):
    virtual = VirtualArm(arm)
    virtual.handle(sync_write(64, 1, dict.fromkeys(IDS, 1)))
    virtual.handle(write(2, 116, 2200, 4))
    before, _ = virtual.goals()
    virtual.servos[2].fail(0x20)
    goals, torque = virtual.goals()
    assert torque[1]
    assert goals[1] == pytest.approx(before[1], abs=RAD_PER_TICK)
    virtual.servos[3].fail(0x20)
    assert not virtual.goals()[1][1]


class TestCurrentMode:
    @pytest.fixture
    def leader(self, tmp_path):
        """Waist (1), shoulder (2, with its shadow 3) and wrist (7, reversed) in current mode."""
        leader = VirtualArm(arm_at(tmp_path, "leader_left"))
        for servo_id in (1, 2, 3, 7):
            leader.handle(write(servo_id, 11, 0) + write(servo_id, 102, 0, 2))
        leader.handle(sync_write(64, 1, dict.fromkeys(IDS, 1)))
        return leader

    def test_goal_currents_push_the_joint_with_all_its_servos(self, leader):
        leader.handle(sync_write(102, 2, {1: 100, 2: 100, 7: 100}))
        push, pushed = leader.goals_current()
        unit = NM_PER_UNIT["xm430-w350"]
        assert push == pytest.approx([100 * unit, 200 * unit, 0, 0, 100 * unit, 0, 0])
        assert pushed.tolist() == [True, True, False, False, True, False, False]
        assert leader.goals()[1].tolist() == [False, False, True, True, False, True, True]
        assert not leader.violations

    def test_the_drive_mode_turns_the_push_round(self, leader):
        leader.handle(write(7, 64, 0) + write(7, 10, 0) + write(7, 64, 1) + write(7, 102, 50, 2))
        assert leader.goals_current()[0][4] < 0

    def test_without_torque_nothing_pushes(self, leader):
        leader.handle(sync_write(102, 2, {1: 100}) + write(1, 64, 0))
        push, pushed = leader.goals_current()
        assert not pushed[0]
        assert push[0] == 0

    def test_no_more_than_the_current_limit_is_taken(self, leader):
        limit = leader.servos[1].get("current_limit")
        leader.handle(sync_write(102, 2, {1: limit + 1}))
        assert leader.servos[1].get("goal_current") == 0
        assert "beyond current_limit" in leader.violations[0][2]

    def test_a_current_for_a_shadow_is_a_violation(self, leader):
        leader.handle(sync_write(102, 2, {3: 10}))
        assert leader.violations[0][1:] == (3, "goal_current = 10: to a shadow")

    def test_a_watchdog_that_trips_takes_the_push_away(self, leader):
        leader.handle(sync_write(102, 2, {1: 100, 2: 100, 7: 100}))
        leader.handle(sync_write(98, 1, dict.fromkeys(IDS, 5)))
        leader.advance(0.2)
        push, pushed = leader.goals_current()
        assert not push.any()
        assert pushed[0]
        leader.handle(sync_write(102, 2, {1: 100}))
        assert not leader.goals_current()[0].any()


def test_an_arm_of_unknown_build_is_refused(arm):
    with pytest.raises(ValueError, match=r"'rx150'.*vx300s"):
        VirtualArm(replace(arm, model="rx150"))


@given(st.lists(st.floats(-1e9, 1e9), min_size=21, max_size=21))
def test_no_state_of_the_world_breaks_the_registers(values):
    virtual = new_arm()
    virtual.update(*np.array(values).reshape(3, 7))
    virtual.handle(b"")
    assert virtual.servos[1].get("present_current") in range(-32768, 32768)


@cache
def an_arm() -> Arm:
    return arm_at(Path("ports"))


def new_arm() -> VirtualArm:
    return VirtualArm(an_arm())


class TestBenchArm:
    def test_it_follows_at_once_or_at_its_speed(self, arm):
        for speed, reached in ((np.inf, 0.5), (2.0, 0.2)):
            bench = BenchArm(arm, speed)
            bench.place(np.zeros(7))
            bench.handle(sync_write(64, 1, dict.fromkeys(IDS, 1)))
            bench.handle(write(1, 116, round(2048 + 0.5 / RAD_PER_TICK), 4))
            bench.advance(0.1)
            assert bench.position[0] == pytest.approx(reached, abs=RAD_PER_TICK)

    def test_without_torque_it_stays_until_it_is_moved(self, arm):
        bench = BenchArm(arm)
        bench.place(np.full(7, 0.3))
        bench.handle(write(1, 116, 2048, 4))
        bench.advance(1.0)
        assert bench.position == pytest.approx(np.full(7, 0.3))

    def test_it_comes_to_rest(self, arm):
        bench = BenchArm(arm)
        bench.handle(write(1, 64, 1))
        bench.handle(write(1, 116, 2100, 4))
        for step in range(1, 4):
            bench.advance(step * 0.01)
        bench.handle(b"")
        assert bench.servos[1].get("present_velocity") == 0
        assert bench.servos[1].get("moving") == 0
