"""Master and shadow must mean the same angle by the same number, or they pull against each other.

A shadow takes its master's goals to the tick, but it sits on the joint with a horn of its own, a
few degrees off. Its Homing Offset makes up for that. Interbotix' driver measures it anew at every
start; here it is written only where it is off, for EEPROM wears.
"""

import time

from aloha_stack.dynamixel.arm_bus import ArmBus
from aloha_stack.dynamixel.cyclic import SyncReader
from aloha_stack.dynamixel.errors import NotTaken
from aloha_stack.robot.description import Servo

TOLERANCE_TICKS = 3
"""Rounding and backlash (0.25 degrees on an XM540) may look like so much: 0.26 degrees."""
REACH_TICKS = 1024
"""A larger Homing Offset is ignored in position mode (ROBOTIS e-manual)."""
SETTLE_S = 0.02


def align_shadows(bus: ArmBus, reader: SyncReader) -> tuple[str, ...]:
    """Corrects the Homing Offset of every limp shadow that disagrees with its master.

    `reader` reads masters and shadows with one request, so that a moving joint does not look
    crooked. Returns what was changed. A NotTaken says which shadow is too far off to be corrected.
    """
    shadows = [servo for servo in bus.arm.servos if servo.shadow_of is not None]
    torque = bus.torque()
    changes = []
    for servo in shadows:
        difference = _difference(reader, servo)
        if torque[servo.id] or difference is None or abs(difference) <= TOLERANCE_TICKS:
            continue
        offset = bus.read_register(servo.id, "homing_offset")
        changes.append(_correct(bus, reader, servo, offset, difference))
    return tuple(changes)


def _correct(bus: ArmBus, reader: SyncReader, servo: Servo, offset: int, difference: int) -> str:
    # Present = actual + offset whatever the drive mode, says the manual; Interbotix' driver turns
    # the sign round with the drive mode. Right is the one that brings the two together.
    for candidate in (offset + difference, offset - difference):
        if abs(candidate) > REACH_TICKS:
            continue
        bus.write_register(servo.id, "homing_offset", candidate)
        time.sleep(SETTLE_S)
        left = _difference(reader, servo)
        if left is not None and abs(left) <= TOLERANCE_TICKS:
            return f"servo {servo.id} ({servo.joint} shadow): homing_offset = {candidate}"
    bus.write_register(servo.id, "homing_offset", offset)
    raise NotTaken(
        f"{bus.arm.name} ({bus.arm.port}): servo {servo.id} ({servo.joint} shadow) stands "
        f"{difference} ticks off its master {servo.shadow_of}, which no homing_offset of at most "
        f"{REACH_TICKS} mends; check its drive_mode, and seat its horn anew",
        (servo.id,),
    )


def _difference(reader: SyncReader, servo: Servo) -> int | None:
    """Master minus shadow, ticks; None if one of them is silent."""
    states = reader.read()
    if servo.id not in states or servo.shadow_of not in states:
        return None
    return states[servo.shadow_of][3] - states[servo.id][3]
