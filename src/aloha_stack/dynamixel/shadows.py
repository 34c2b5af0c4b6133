"""Master and shadow must mean the same angle by the same number, or they pull against each other.

A shadow takes its master's goals to the tick, but it sits on the joint with a horn of its own, a
few degrees off. Its Homing Offset makes up for that. Interbotix' driver measures it anew at every
start; here it is written only where it is off, for EEPROM wears.
"""

import time
from collections.abc import Mapping
from typing import Protocol

from aloha_stack.dynamixel import words
from aloha_stack.dynamixel.errors import NotAsDescribed, NotTaken
from aloha_stack.dynamixel.setup import CommonRegisters, Registers
from aloha_stack.robot.description import Arm, Servo
from aloha_stack.robot.servos import TICKS_PER_TURN

TOLERANCE_TICKS = 3
"""Rounding and backlash (0.25 degrees on an XM540) may look like so much: 0.26 degrees."""
REACH_TICKS = 1024
"""A larger Homing Offset is ignored in position mode (ROBOTIS e-manual)."""
SETTLE_S = 0.02
AGREE_TICKS = 100
"""A horn sits a few degrees off, a servo that is turned round many: 9 degrees."""
REVERSE = 1
"""The bit of a drive mode that turns the servo round."""
LAST_ID = 252

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

    def __init__(
        self, arm: Arm, requests: Registers, together: CommonRegisters, reader: States
    ) -> None:
        self._arm, self._requests, self._together, self._reader = arm, requests, together, reader
        self._shadows = [servo for servo in arm.servos if servo.shadow_of is not None]

    def check(self) -> None:
        """Who shadows whom, and which way round, before anything is written: NotAsDescribed."""
        self._refuse_other_shadows(self._together.read("secondary_id"))
        drive_modes = self._together.read("drive_mode")
        for servo in self._shadows:
            self._refuse_to_oppose(servo, drive_modes)

    def _refuse_other_shadows(self, secondary_ids: Mapping[int, int]) -> None:
        """One that shadows nobody yet can be told to; one that shadows another sits elsewhere."""
        others = {
            servo.id: secondary_ids[servo.id]
            for servo in self._arm.servos
            if secondary_ids[servo.id] <= LAST_ID
            and secondary_ids[servo.id] not in (servo.id, servo.shadow_of)
        }
        if others:
            what = "; ".join(
                f"{words.call(self._arm, i)} obeys ID {master} too" for i, master in others.items()
            )
            raise NotAsDescribed(
                f"{words.where(self._arm)}: {what}, of which the robot file says nothing; check "
                f"`shadow_of` in config/arms/{self._arm.model}.yaml, or set the servo's "
                "secondary_id to 255 if it stands alone on its joint",
                tuple(others),
            )

    def _refuse_to_oppose(self, servo: Servo, drive_modes: Mapping[int, int]) -> None:
        """Where the pair agrees as it is set up, but would not as the file wants it."""
        master = self._requests.servo(servo.shadow_of or 0)
        pair = (master, servo)
        reversing = [s for s in pair if (drive_modes[s.id] ^ s.drive_mode) & REVERSE]
        states = self._reader.read()
        if len(reversing) != 1 or not {servo.id, master.id} <= states.keys():
            return  # both are turned round, or none: they go on to agree
        present = {s.id: states[s.id][POSITION] for s in pair}
        turned = dict(present)
        for s in reversing:
            offset = self._requests.read(s.id, "homing_offset")
            turned[s.id] = TICKS_PER_TURN + 2 * offset - present[s.id]
        agrees = abs(present[master.id] - present[servo.id]) <= AGREE_TICKS
        if agrees and abs(turned[master.id] - turned[servo.id]) > AGREE_TICKS:
            name = words.call(self._arm, reversing[0].id)
            raise NotAsDescribed(
                f"{words.where(self._arm)}: {name} has drive_mode {drive_modes[reversing[0].id]}, "
                f"by which {words.call(self._arm, master.id, servo.id)} agree on where they are "
                f"({present[master.id]} and {present[servo.id]} ticks); with the file's drive_mode "
                f"{reversing[0].drive_mode} they would pull against each other "
                f"({turned[master.id]} and {turned[servo.id]}); correct "
                f"config/arms/{self._arm.model}.yaml",
                (master.id, servo.id),
            )

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
