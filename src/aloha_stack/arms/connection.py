"""An arm's bus for one command of an operator: opened, named when busy, and closed again."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aloha_stack.arms.holders import holders
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.control_table import register_of
from aloha_stack.dynamixel.errors import PortBusy
from aloha_stack.robot.description import Arm, Servo

Difference = tuple[Servo, str, int, int]
"""A servo, one of its registers, the value found and the value wanted."""


class OperatorError(RuntimeError):
    """A command is not carried out; the message says why, and what to do instead."""


@contextmanager
def connected(arm: Arm, instead: str) -> Iterator[DynamixelBus]:
    """The arm's bus, open. A busy port's error names who holds it, and `instead` what to use."""
    bus = DynamixelBus(arm)
    try:
        bus.open()
    except PortBusy as error:
        raise PortBusy(f"{arm.name} ({arm.port}): {held_by(arm, instead)}") from error
    try:
        yield bus
    finally:
        bus.close()


def held_by(arm: Arm, instead: str) -> str:
    """Who holds the arm's busy port, and what to do: `instead` if it is a bridge."""
    found = holders(arm.port)
    if any(holder.is_bridge for holder in found):
        return f"the port is held by {found[0]}; {instead}"
    who = " and ".join(map(str, found)) or "a process of another user (sudo fuser names it)"
    return f"the port is held by {who}; end it first"


def call(servo: Servo) -> str:
    """A servo by ID and joint."""
    return f"servo {servo.id} ({servo.joint}{'' if servo.shadow_of is None else ' shadow'})"


def differences(bus: DynamixelBus) -> tuple[Difference, ...]:
    """The registers that differ from the robot file (a shadow's homing offset is measured)."""
    found = []
    for servo in bus.arm.servos:
        for name, wanted in servo.registers.items():
            if servo.shadow_of is not None and name == "homing_offset":
                continue
            value = bus.read_register(servo.id, name)
            if value != wanted:
                found.append((servo, name, value, wanted))
    return tuple(found)


def in_eeprom(difference: Difference) -> bool:
    """Whether the register lasts without power; it can be written only while the torque is off."""
    return register_of(difference[0].model, difference[1]).eeprom


def in_ram(found: Iterable[Difference]) -> str:
    """What is to be said of differences in RAM: a servo loses it at power-up, which is no fault."""
    count = sum(not in_eeprom(one) for one in found)
    return (
        f"{count} in RAM, which servos forget without power: a bridge writes them" if count else ""
    )
