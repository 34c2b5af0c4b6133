"""Whether a robot file's registers can be what its servos are told: before any byte is sent."""

from aloha_stack.dynamixel.control_table import OPERATING_MODES, table_for
from aloha_stack.robot.description import Arm, Servo
from aloha_stack.robot.joints import GRIPPER
from aloha_stack.robot.yaml_section import RobotConfigError

POSITION_MODES = {3: "position", 4: "extended position", 5: "current-based position"}
CURRENT_BASED = 5

OUR_OWN = frozenset({"id", "baud_rate", "protocol_type"})
"""Registers that would cut off the line on which they are written."""
NOT_SETTINGS = frozenset({"torque_enable", "bus_watchdog", "led"})
"""Registers that do something at once; goals are more of them."""
ANSWERS_EVERYTHING = 2
PROTECTIONS = 0b110100
"""Bits of `shutdown` that stay: overheating, electrical shock, overload (the factory setting)."""


def check_registers(arm: Arm) -> None:
    """A RobotConfigError names the servo, the register, its value and what was expected.

    Refused are registers that the model does not have, that cannot be written, that move or mute a
    servo; values of a wrong kind or out of range; operating modes in which goal positions do not
    drive the servo; and a gripper whose force nothing limits.
    """
    for index, servo in enumerate(arm.servos):
        place = f"config/arms/{arm.model}.yaml: servos[{index}] ({servo.joint}), ID {servo.id}"
        for name, value in servo.registers.items():
            _check_value(place, servo, name, value)
        _check_modes(place, servo)
        _check_positions(place, servo)
        if servo.joint == GRIPPER:
            _check_force(place, servo)


def _check_value(place: str, servo: Servo, name: str, value: object) -> None:
    table = table_for(servo.model)
    if name not in table:
        writable = ", ".join(r.name for r in table.values() if r.writable)
        _refuse(place, name, value, f"{servo.model} has no such register; it has {writable}")
    register = table[name]
    if not register.writable:
        _refuse(place, name, value, "this register can only be read")
    if name in OUR_OWN:
        _refuse(place, name, value, "would cut off the line; set it with the maker's tool, alone")
    if name in NOT_SETTINGS or name.startswith("goal_"):
        _refuse(place, name, value, "is no setting: it acts at once; leave it out")
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(place, name, value, "expected a whole number")
    elif not _low(register.low) <= value <= _high(register.high):
        _refuse(place, name, value, f"outside {register.low} … {register.high}")
    elif name == "shutdown" and value & PROTECTIONS != PROTECTIONS:
        _refuse(place, name, value, "a servo must shut down when overloaded or overheated (52)")
    elif name == "status_return_level" and value != ANSWERS_EVERYTHING:
        _refuse(place, name, value, f"expected {ANSWERS_EVERYTHING}: the bus needs every answer")


def _check_modes(place: str, servo: Servo) -> None:
    mode = servo.registers.get("operating_mode")
    known = OPERATING_MODES[servo.model]
    possible = ", ".join(f"{k} ({word})" for k, word in POSITION_MODES.items() if k in known)
    if mode not in known:
        _refuse(place, "operating_mode", mode, f"no mode of {servo.model}; expected {possible}")
    if mode not in POSITION_MODES:
        _refuse(place, "operating_mode", mode, f"not driven by positions; expected {possible}")
    if mode == CURRENT_BASED and "current_limit" not in servo.registers:
        _refuse(place, "operating_mode", mode, "such a mode needs a current_limit beside it")


def _check_positions(place: str, servo: Servo) -> None:
    table, registers = table_for(servo.model), servo.registers
    lowest, highest = (
        registers.get(name, table[name].default)
        for name in ("min_position_limit", "max_position_limit")
    )
    if lowest >= highest:
        _refuse(place, "min_position_limit", lowest, f"not below max_position_limit = {highest}")


def _check_force(place: str, servo: Servo) -> None:
    """A gripper holds on for as long as it is told to: what it can crush must be bounded."""
    table, registers = table_for(servo.model), servo.registers
    name = "current_limit" if "current_limit" in table else "pwm_limit"
    highest = _high(table[name].high)
    limit = registers.get(name)
    if name == "current_limit" and registers["operating_mode"] != CURRENT_BASED:
        _refuse(
            place,
            "operating_mode",
            registers["operating_mode"],
            f"a gripper holds by a limited current; expected {CURRENT_BASED} "
            f"({POSITION_MODES[CURRENT_BASED]}) and a {name} below {highest}",
        )
    if limit is None or not 0 < limit < highest:
        _refuse(place, name, limit, f"a gripper needs a limit of its force: 1 … {highest - 1}")


def _low(bound: int | None) -> int:
    return -(2**31) if bound is None else bound


def _high(bound: int | None) -> int:
    return 2**31 - 1 if bound is None else bound


def _refuse(place: str, name: str, value: object, why: str) -> None:
    found = "missing" if value is None else repr(value)
    raise RobotConfigError(f"{place}: {name} = {found}: {why}")
