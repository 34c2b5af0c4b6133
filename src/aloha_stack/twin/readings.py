"""What servos tell of an arm's joints: whole ticks, whole units of velocity and current.

The same rounding as in virtual_arm.py's registers and dynamixel/bus.py's reading of them, for
those who work without the wire between the two.
"""

from dataclasses import dataclass

import numpy as np

from aloha_stack.dynamixel.units import NM_PER_UNIT, RAD_PER_TICK, RAD_S_PER_VELOCITY_UNIT
from aloha_stack.robot.description import Arm


@dataclass(frozen=True)
class Reading:
    """One reading of an arm at `stamp_ns` of model time: position rad, velocity rad/s, effort N·m
    of the addressed servo, (7,) each."""

    stamp_ns: int
    position: np.ndarray
    velocity: np.ndarray
    effort: np.ndarray


class Readings:
    """Of one arm."""

    def __init__(self, arm: Arm) -> None:
        servos = arm.addressed
        alike = [sum(other.joint == servo.joint for other in arm.servos) for servo in servos]
        self._share = np.array(alike, dtype=float)
        self._nm = np.array([NM_PER_UNIT[servo.model] for servo in servos])

    def read(
        self, stamp_ns: int, position: np.ndarray, velocity: np.ndarray, effort: np.ndarray
    ) -> Reading:
        """The joints' true state (7,) each, as the servos tell it; a pair shares its effort."""
        return Reading(
            stamp_ns,
            np.rint(position / RAD_PER_TICK) * RAD_PER_TICK,
            np.rint(velocity / RAD_S_PER_VELOCITY_UNIT) * RAD_S_PER_VELOCITY_UNIT,
            np.rint(effort / (self._share * self._nm)) * self._nm,
        )
