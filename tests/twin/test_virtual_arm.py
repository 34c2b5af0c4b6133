"""Nine servos and seven joints: signs, shadows, torque, and what the host's units make of it."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.dynamixel.packets import BROADCAST, SYNC_WRITE, WRITE, instruction
from aloha_stack.dynamixel.units import RAD_PER_TICK
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


def test_the_grippers_goal_current_limits_its_effort(arm):
    virtual = VirtualArm(arm)
    before = virtual.effort_limits()
    virtual.handle(write(9, 102, 150, 2))
    after = virtual.effort_limits()
    assert after[6] == pytest.approx(before[6] / 2)
    assert np.array_equal(after[:6], before[:6])


def test_goals_on_the_wire_are_logged_even_to_shadows_and_even_if_refused(arm):
    virtual = VirtualArm(arm)
    virtual.advance(1.5)
    virtual.handle(write(3, 116, 2000, 4) + write(2, 116, 9999, 4))
    assert list(virtual.written_goals) == [(1.5, 3, 2000), (1.5, 2, 9999)]


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
