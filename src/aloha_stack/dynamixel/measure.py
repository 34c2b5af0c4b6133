"""What raw answers mean, in SI units.

Plain Python up to the last line, for every cycle passes here: on seven servos it is quicker than
numpy, and far quicker on a processor that has slept or done something else since the last cycle.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from aloha_stack.dynamixel.answers import Answer
from aloha_stack.dynamixel.arm_bus import BusState
from aloha_stack.dynamixel.control_table import ALERT
from aloha_stack.dynamixel.units import (
    NM_PER_UNIT,
    RAD_PER_TICK,
    RAD_S_PER_VELOCITY_UNIT,
    ZERO_TICKS,
)
from aloha_stack.robot.description import Arm

_NO_ANSWER = (0, math.nan, math.nan, math.nan)


def angles(ticks: Iterable[int]) -> np.ndarray:
    """Goals in ticks as joint angles, rad; the same to the bit as units.ticks_to_rad."""
    return np.array([(tick - ZERO_TICKS) * RAD_PER_TICK for tick in ticks])


class Measure:
    """Makes a BusState of the addressed servos' answers to a request for STATE."""

    def __init__(self, arm: Arm) -> None:
        self._ids = tuple(servo.id for servo in arm.addressed)
        self._nm_per_unit = [NM_PER_UNIT[servo.model] for servo in arm.addressed]

    def __call__(
        self, answers: Mapping[int, Answer], damaged: tuple[int, ...], late: bool
    ) -> BusState:
        """`answers` by ID; whose answer is not among them is missing."""
        ids = self._ids
        raw = [answers.get(servo_id, _NO_ANSWER) for servo_id in ids]
        position = [(ticks - ZERO_TICKS) * RAD_PER_TICK for _, _, _, ticks in raw]
        velocity = [units * RAD_S_PER_VELOCITY_UNIT for _, _, units, _ in raw]
        effort = [answer[1] * nm for answer, nm in zip(raw, self._nm_per_unit, strict=True)]
        measured = np.array((*position, *velocity, *effort))
        n = len(ids)
        return BusState(
            position=measured[:n],
            velocity=measured[n : 2 * n],
            effort=measured[2 * n :],
            missing=() if len(answers) == n else tuple(i for i in ids if i not in answers),
            alert=tuple([i for i, answer in answers.items() if answer[0] & ALERT]),
            damaged=damaged,
            late=late,
        )
