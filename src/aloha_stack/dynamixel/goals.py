"""What an arm's addressed servos can be told: goals in ticks and currents in units, within limits.

Plain Python, for every cycle passes here: on seven numbers it is quicker than numpy.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from aloha_stack.dynamixel.control_table import table_for
from aloha_stack.dynamixel.units import AMPERE_PER_CURRENT_UNIT, RAD_PER_TICK, ZERO_TICKS
from aloha_stack.robot.description import Arm, Servo
from aloha_stack.robot.joints import JOINTS
from aloha_stack.robot.servos import POSITION, TICKS_PER_TURN

MOST_TICKS = 1_048_575
"""The farthest goal of a servo that may turn more than once, either way."""


class Goals:
    """Of one arm. `read_register` (ID, name) asks for the current limits, once.

    `with_current` are the places of the servos that know a goal current. A ValueError says which
    joint's number is none.
    """

    def __init__(self, arm: Arm, read_register: Callable[[int, str], int]) -> None:
        self._arm, self._read_register = arm, read_register
        self._limits = [_goal_limits(servo) for servo in arm.addressed]
        self.with_current = [
            k for k, servo in enumerate(arm.addressed) if "goal_current" in table_for(servo.model)
        ]
        self.forget()

    def forget(self) -> None:
        """Another set-up may have other current limits."""
        self._current_limits: dict[int, int] | None = None

    def ticks(self, position: np.ndarray) -> list[int]:
        """The goals nearest to `position` (7,) rad that the servos take."""
        wanted = self._seven(position, "goal")
        return [
            min(max(round(rad / RAD_PER_TICK) + ZERO_TICKS, lowest), highest)
            for rad, (lowest, highest) in zip(wanted, self._limits, strict=True)
        ]

    def currents(self, current_a: np.ndarray) -> list[int]:
        """`current_a` (7,) A in units, cut at the current limits; 0 where no goal is known."""
        wanted = self._seven(current_a, "current")
        if self._current_limits is None:
            ids = {k: self._arm.addressed[k].id for k in self.with_current}
            self._current_limits = {
                k: self._read_register(servo_id, "current_limit") for k, servo_id in ids.items()
            }
        units = [0] * len(wanted)
        for k, limit in self._current_limits.items():
            units[k] = min(max(round(wanted[k] / AMPERE_PER_CURRENT_UNIT), -limit), limit)
        return units

    def _seven(self, values: np.ndarray, what: str) -> Sequence[float]:
        seven = np.asarray(values, dtype=np.float64)
        if seven.shape != (len(JOINTS),):
            raise ValueError(f"{self._arm.name}: {what}s have shape {seven.shape}, expected (7,)")
        numbers: list[float] = seven.tolist()
        if not all(map(math.isfinite, numbers)):
            bad = [
                joint
                for joint, number in zip(JOINTS, numbers, strict=True)
                if not math.isfinite(number)
            ]
            raise ValueError(f"{self._arm.name}: the {what} of {', '.join(bad)} is not a number")
        return numbers


def _goal_limits(servo: Servo) -> tuple[int, int]:
    """The goals that a servo takes, ticks: in a sync write it refuses others without a word."""
    registers = servo.registers
    if registers["operating_mode"] != POSITION:
        return -MOST_TICKS, MOST_TICKS
    lowest = registers.get("min_position_limit", 0)
    return lowest, registers.get("max_position_limit", TICKS_PER_TURN - 1)
