"""Master and shadow must mean the same angle by the same number, or they pull against each other.

A shadow takes its master's goals to the tick, but it sits on the joint with a horn of its own, a
few degrees off. Its Homing Offset makes up for that. Interbotix' driver measures it anew at every
start; here it is written only where it is off, for EEPROM wears.
"""

import time
from collections.abc import Mapping
from typing import Protocol

from aloha_stack.dynamixel import words
from aloha_stack.dynamixel.errors import NotTaken
from aloha_stack.dynamixel.setup import Registers
from aloha_stack.robot.description import Arm, Servo

TOLERANCE_TICKS = 3
"""Rounding and backlash (0.25 degrees on an XM540) may look like so much: 0.26 degrees."""
REACH_TICKS = 1024
"""A larger Homing Offset is ignored in position mode (ROBOTIS e-manual)."""
SETTLE_S = 0.02

POSITION = 3
"""Where the position stands in the answer to a request for STATE."""


class States(Protocol):
    """Reads masters and shadows."""

    def read(self) -> Mapping[int, tuple[int, ...]]:
        """By ID, of those that answer: four numbers, the position (ticks) as the last."""
        ...


class Shadows:
    """The shadows of one arm.

    `reader` reads masters and shadows with one request, so that a moving joint does not look
    crooked.
    """

    def __init__(self, arm: Arm, requests: Registers, reader: States) -> None:
        self._arm, self._requests, self._reader = arm, requests, reader
        self._shadows = [servo for servo in arm.servos if servo.shadow_of is not None]

    def align(self, torque: Mapping[int, bool]) -> tuple[str, ...]:
        """Corrects the Homing Offset of every limp shadow that disagrees with its master.

        Returns what was changed. A NotTaken says which shadow is too far off to be corrected.
        """
        changes = []
        for servo in self._shadows:
            difference = self._difference(servo)
            if torque[servo.id] or difference is None or abs(difference) <= TOLERANCE_TICKS:
                continue
            offset = self._requests.read(servo.id, "homing_offset")
            changes.append(self._correct(servo, offset, difference))
        return tuple(changes)

    def _correct(self, servo: Servo, offset: int, difference: int) -> str:
        # Present = actual + offset whatever the drive mode, says the manual; Interbotix' driver
        # turns the sign round with the drive mode. Right is the one that brings the two together.
        for candidate in (offset + difference, offset - difference):
            if abs(candidate) > REACH_TICKS:
                continue
            self._requests.write(servo.id, "homing_offset", candidate)
            time.sleep(SETTLE_S)
            left = self._difference(servo)
            if left is not None and abs(left) <= TOLERANCE_TICKS:
                return f"{words.call(self._arm, servo.id)}: homing_offset = {candidate}"
        self._requests.write(servo.id, "homing_offset", offset)
        raise NotTaken(
            f"{words.where(self._arm)}: {words.call(self._arm, servo.id)} stands "
            f"{difference} ticks off its master {servo.shadow_of}, which no homing_offset of at "
            f"most {REACH_TICKS} mends; check its drive_mode, and seat its horn anew",
            (servo.id,),
        )

    def _difference(self, servo: Servo) -> int | None:
        """Master minus shadow, ticks; None if one of them is silent."""
        states = self._reader.read()
        if servo.shadow_of is None or not {servo.id, servo.shadow_of} <= states.keys():
            return None
        return states[servo.shadow_of][POSITION] - states[servo.id][POSITION]
