"""What the servos measure, as a table for a person."""

import math
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from time import sleep

from aloha_stack.arms.connection import OperatorError, connected
from aloha_stack.dynamixel import units
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.control_table import describe_hardware_error, table_for
from aloha_stack.dynamixel.errors import ServoError
from aloha_stack.episodes.tables import Column, table
from aloha_stack.robot.description import Arm, Servo

COLUMNS = (
    Column("ID", right=True),
    Column("joint"),
    Column("model"),
    Column("position °", right=True),
    Column("velocity °/s", right=True),
    Column("current", right=True),
    Column("°C", right=True),
    Column("V", right=True),
    Column("torque"),
    Column("error"),
)
REGISTER_COLUMNS = (
    Column("ID", right=True),
    Column("joint"),
    Column("model"),
    Column("value", right=True),
    Column("robot file", right=True),
)
SILENT = "no answer"


def show_servos(arm: Arm) -> bool:
    """Prints one row per servo; whether all answer and none is in error."""
    with connected(arm, _instead(arm)) as bus:
        rows = [servo_row(bus, servo) for servo in arm.servos]
    print(f"{arm.name} ({arm.port})\n{table(COLUMNS, rows)}\n", flush=True)
    return all(row[-1] == "" for row in rows)


def check_register(arms: Iterable[Arm], name: str) -> None:
    """An OperatorError if none of the arms' servos has the register, with those meant perhaps."""
    models = {servo.model for arm in arms for servo in arm.servos}
    known = sorted({register for model in models for register in table_for(model)})
    if name not in known:
        near = get_close_matches(name, known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(known)}"
        raise OperatorError(f"no servo has a register '{name}'; {hint}")


def show_register(arm: Arm, name: str) -> bool:
    """Prints one register of every servo, beside what the robot file says of it."""
    rows = []
    with connected(arm, _instead(arm)) as bus:
        for servo in arm.servos:
            value = _value(bus, servo, name) if name in table_for(servo.model) else "-"
            wanted = servo.registers.get(name, "-")
            rows.append([str(servo.id), _joint(servo), servo.model, value, str(wanted)])
    print(f"{arm.name} ({arm.port}): {name}\n{table(REGISTER_COLUMNS, rows)}\n", flush=True)
    return all(row[3] != SILENT for row in rows)


def follow(arm: Arm, period_s: float) -> bool:
    """The table of show_servos again and again, until Ctrl-C; on a terminal in its place."""
    live = sys.stdout.isatty()
    with connected(arm, _instead(arm)) as bus:
        print(f"{arm.name} ({arm.port}), every {period_s:g} s; Ctrl-C ends it")
        height = 0
        try:
            while True:
                text = table(COLUMNS, [servo_row(bus, servo) for servo in arm.servos])
                if live and height:
                    sys.stdout.write(f"\x1b[{height}A\x1b[J")  # up to the table's head, clear below
                print(text, flush=True)
                height = text.count("\n") + 1
                sleep(max(0.0, period_s))
        except KeyboardInterrupt:
            return True


def servo_row(bus: DynamixelBus, servo: Servo) -> list[str]:
    """One servo's measurements, as COLUMNS; the last cell is empty if all is well."""
    head = [str(servo.id), _joint(servo), servo.model]
    try:
        present = {name: bus.read_register(servo.id, name) for name in _present(servo)}
    except ServoError as error:
        return [*head, *["-"] * 6, f"{SILENT} ({type(error).__name__})"]
    degrees = math.degrees((present["present_position"] - units.ZERO_TICKS) * units.RAD_PER_TICK)
    speed = math.degrees(present["present_velocity"] * units.RAD_S_PER_VELOCITY_UNIT)
    if "present_current" in present:
        current = f"{present['present_current'] * units.AMPERE_PER_CURRENT_UNIT:.3f} A"
    else:
        current = f"{present['present_load'] / 10:.1f} %"  # it senses its load only
    fault = ", ".join(describe_hardware_error(present["hardware_error_status"]))
    return [
        *head,
        f"{degrees:.1f}",
        f"{speed:.1f}",
        current,
        str(present["present_temperature"]),
        f"{present['present_input_voltage'] * units.VOLT_PER_UNIT:.1f}",
        "on" if present["torque_enable"] else "off",
        fault,
    ]


def _present(servo: Servo) -> tuple[str, ...]:
    load = "present_current" if "present_current" in table_for(servo.model) else "present_load"
    return (
        *("torque_enable", "hardware_error_status", "present_position", "present_velocity"),
        *(load, "present_temperature", "present_input_voltage"),
    )


def _value(bus: DynamixelBus, servo: Servo, name: str) -> str:
    try:
        return str(bus.read_register(servo.id, name))
    except ServoError:
        return SILENT


def _joint(servo: Servo) -> str:
    return servo.joint + (" shadow" if servo.shadow_of is not None else "")


def _instead(arm: Arm) -> str:
    return f"it publishes /{arm.name}/joint_states, and everything else in /diagnostics"
