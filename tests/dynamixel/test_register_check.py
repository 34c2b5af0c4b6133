"""What a robot file may not ask of its servos is refused by name, before any byte is sent."""

import dataclasses

import pytest

from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.register_check import check_registers
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import ARMS
from aloha_stack.robot.yaml_section import RobotConfigError
from twin.virtual_rig import arm_at


def with_registers(arm: Arm, servo_id: int, **changes: object) -> Arm:
    """The arm with other registers on one servo; None takes one away."""
    servos = []
    for servo in arm.servos:
        if servo.id == servo_id:
            registers = {**servo.registers, **changes}
            kept = {name: value for name, value in registers.items() if value is not None}
            servo = dataclasses.replace(servo, registers=kept)
        servos.append(servo)
    return dataclasses.replace(arm, servos=tuple(servos))


@pytest.fixture
def follower(tmp_path):
    return arm_at(tmp_path, "follower_left")


@pytest.fixture
def leader(tmp_path):
    return arm_at(tmp_path, "leader_left")


@pytest.mark.parametrize("name", ARMS)
def test_the_robots_own_files_pass(tmp_path, name):
    check_registers(arm_at(tmp_path, name))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gaol_position": 1}, r"gaol_position = 1: xm540-w270 has no such register; .*led, "),
        ({"present_position": 1}, r"present_position = 1: .*can only be read"),
        ({"position_p_gain": 20_000}, r"position_p_gain = 20000: outside 0 … 16383"),
        ({"position_p_gain": -1}, r"position_p_gain = -1: outside 0 … 16383"),
        ({"position_p_gain": "800"}, r"position_p_gain = '800': expected a whole number"),
        ({"position_p_gain": 800.0}, r"position_p_gain = 800.0: expected a whole number"),
        ({"position_p_gain": True}, r"position_p_gain = True: expected a whole number"),
        ({"position_p_gain": [1]}, r"position_p_gain = \[1\]: expected a whole number"),
        ({"operating_mode": 2}, r"operating_mode = 2: no mode of xm540-w270; expected 3 \(pos"),
        ({"operating_mode": 1}, r"operating_mode = 1: not driven by positions; expected 3"),
        ({"operating_mode": 0, "current_limit": 100}, r"operating_mode = 0: not driven by posit"),
        ({"operating_mode": None}, r"operating_mode = missing"),
        ({"operating_mode": 5}, r"operating_mode = 5: .*needs a current_limit"),
        ({"min_position_limit": 3000, "max_position_limit": 3000}, r"min_.* = 3000: not below"),
        ({"max_position_limit": 0}, r"min_position_limit = 0: not below max_.* = 0"),
        ({"id": 9}, r"id = 9: would cut off the line"),
        ({"baud_rate": 1}, r"baud_rate = 1: would cut off the line"),
        ({"torque_enable": 1}, r"torque_enable = 1: is no setting"),
        ({"goal_position": 2048}, r"goal_position = 2048: is no setting"),
        ({"bus_watchdog": 5}, r"bus_watchdog = 5: is no setting"),
        ({"status_return_level": 1}, r"status_return_level = 1: expected 2"),
        ({"shutdown": 0}, r"shutdown = 0: a servo must shut down when overloaded or overheated"),
        ({"shutdown": 48}, r"shutdown = 48: a servo must shut down when overloaded or overheated"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(follower, changes, why):
    arm = with_registers(follower, 6, **changes)
    place = r"config/arms/vx300s.yaml: servos\[5\] \(forearm_roll\), ID 6: "
    with pytest.raises(RobotConfigError, match=place + why):
        check_registers(arm)


def test_a_current_is_refused_where_the_model_senses_none(leader):
    arm = with_registers(leader, 9, current_limit=300)
    with pytest.raises(RobotConfigError, match=r"current_limit = 300: xc430-w150 has no such"):
        check_registers(arm)
    arm = with_registers(leader, 9, operating_mode=5)
    with pytest.raises(RobotConfigError, match=r"operating_mode = 5: no mode of xc430-w150"):
        check_registers(arm)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"current_limit": None, "operating_mode": 3}, r"operating_mode = 3: a gripper holds by"),
        ({"operating_mode": 3}, r"operating_mode = 3: a gripper holds by a limited current"),
        ({"current_limit": 1193}, r"current_limit = 1193: a gripper needs a limit .*1 … 1192"),
        ({"current_limit": 0}, r"current_limit = 0: a gripper needs a limit"),
    ],
)
def test_a_gripper_without_a_limit_of_its_force_is_refused(follower, changes, why):
    with pytest.raises(RobotConfigError, match=why):
        check_registers(with_registers(follower, 9, **changes))


@pytest.mark.parametrize("pwm", [None, 885, 0])
def test_a_gripper_without_a_current_sensor_needs_a_limited_voltage(leader, pwm):
    with pytest.raises(RobotConfigError, match=r"pwm_limit = .*: a gripper needs a limit"):
        check_registers(with_registers(leader, 9, pwm_limit=pwm))


def test_no_bus_is_made_for_what_is_refused(follower):
    with pytest.raises(RobotConfigError):
        DynamixelBus(with_registers(follower, 1, position_p_gain=99_999))
