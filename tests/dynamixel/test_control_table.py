"""The control tables: what a wrong address would break on metal."""

import pytest

from aloha_stack.dynamixel.control_table import (
    describe_hardware_error,
    register_of,
    table_for,
)
from aloha_stack.robot.description import load_robot

MODELS = ("xm540-w270", "xm430-w350", "xc430-w150")


@pytest.mark.parametrize(
    ("name", "address", "size"),
    [
        ("drive_mode", 10, 1),
        ("secondary_id", 12, 1),
        ("homing_offset", 20, 4),
        ("max_position_limit", 48, 4),
        ("min_position_limit", 52, 4),
        ("torque_enable", 64, 1),
        ("hardware_error_status", 70, 1),
        ("position_p_gain", 84, 2),
        ("bus_watchdog", 98, 1),
        ("profile_acceleration", 108, 4),
        ("profile_velocity", 112, 4),
        ("goal_position", 116, 4),
        ("present_velocity", 128, 4),
        ("present_position", 132, 4),
        ("present_temperature", 146, 1),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_registers_stand_where_the_manual_says(model, name, address, size):
    register = register_of(model, name)
    assert (register.address, register.size) == (address, size)
    assert register.eeprom == (address < 64)


@pytest.mark.parametrize("model", MODELS)
def test_no_two_registers_overlap(model):
    taken: set[int] = set()
    for register in table_for(model).values():
        cells = set(range(register.address, register.address + register.size))
        assert not cells & taken, register.name
        taken |= cells


def test_the_model_without_a_current_sensor_shows_its_load_instead():
    table = table_for("xc430-w150")
    assert "present_current" not in table
    assert "current_limit" not in table
    assert table["present_load"].address == 126


def test_values_survive_the_way_to_bytes_and_back():
    register = register_of("xm540-w270", "goal_position")
    for value in (0, 2048, -1, -1_044_479):
        assert register.decode(register.encode(value)) == value
    with pytest.raises(ValueError, match="70000 does not fit current_limit"):
        register_of("xm540-w270", "current_limit").encode(70_000)


def test_unknown_models_and_registers_are_answered_with_what_exists():
    with pytest.raises(ValueError, match="xm540-w270"):
        table_for("mx28")
    with pytest.raises(ValueError, match="goal_position"):
        register_of("xm430-w350", "gaol_position")


def test_every_register_of_the_robot_files_exists_and_may_hold_its_value():
    for arm in load_robot("twin", {"ALOHA_PORTS": "ports"}).arms.values():
        for servo in arm.servos:
            for name, value in servo.registers.items():
                register = register_of(servo.model, name)
                assert register.writable, name
                assert register.low is not None
                assert register.high is not None
                assert register.low <= value <= register.high, (servo.id, name)


def test_hardware_errors_are_told_in_words():
    assert describe_hardware_error(0) == ()
    assert describe_hardware_error(0b100101) == (
        "input voltage out of range",
        "overheating",
        "overload",
    )
