"""How differently the same operator does the same thing each time: pace, places, tremor.

No two demonstrations by a person are alike. Here every difference follows from the seed of the
world, so that a demonstration can be made again.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aloha_stack.twin.operator_motion import Motion

STEP_S = 0.01
MEMORY_S = 0.4
"""How long a deviation of the hand lasts: the time constant of an Ornstein-Uhlenbeck process."""
SMOOTH_S = 0.06
"""The hand's own inertia: two equal lags behind that process, so that accelerations are finite."""
LEVEL = np.array([1.0, 1.0, 0.4])
"""Heights are kept better than places: a hand that is too low touches what it is to grasp."""
AT_MOST = 2.0
"""Standard deviations at which draws are cut."""


@dataclass(frozen=True)
class Manner:
    """Standard deviations: of the pace (a factor), of where key poses are in free space (m, level
    with the table), and of the tremor of each arm joint there (rad). At contacts the hand takes
    more care.

    A hand that comes down beside its object and puts that right on the way shows how to put it
    right. From hands that are always on their way one learns to go on from where the arm is, and
    not to look for the object.
    """

    pace: float = 0.03
    place_m: float = 0.018
    tremor_rad: float = 0.018


HUMAN = Manner()
ASTRAY = Manner(place_m=0.024)
"""Farther beside its marks: shows more of how to put it right, and fails now and then."""
STEADY = Manner(0.0, 0.0, 0.0)
"""Every time exactly as the script has it."""


class Draws:
    """What is drawn for one performance: the same for the same seed."""

    def __init__(self, manner: Manner, seed: int) -> None:
        self._manner = manner
        self._random = np.random.default_rng(seed)
        self.pace = 1.0 + manner.pace * float(self._cut(()))

    def place(self) -> np.ndarray:
        """By how much (3,) m the hand is off a place that is nothing but a place to pass."""
        return self._manner.place_m * LEVEL * self._cut((3,))

    def tremor(self, times_s: np.ndarray, care: np.ndarray) -> "Tremor":
        """Of one arm's six joints from 0 to the last of `times_s` (n,); `care` (n,) 0 … 1 says how
        much of it is held back at those times."""
        steps = int(np.ceil(times_s[-1] / STEP_S)) + 2
        keys = np.arange(len(times_s))
        whole, part = np.divmod(np.interp(np.arange(steps) * STEP_S, times_s, keys), 1.0)
        eased = part * part * (3.0 - 2.0 * part)  # so that a key does not jerk the hand
        kept = 1.0 - np.interp(whole + eased, keys, care)
        shift = self._wander(steps) * (self._manner.tremor_rad * kept)[:, None]
        return Tremor(np.hstack([shift, np.zeros((steps, 1))]))

    def _wander(self, steps: int) -> np.ndarray:
        """An Ornstein-Uhlenbeck process behind the hand's lags, (steps, 6), of unit variance.

        Its variance is 1, and behind two lags s of a memory m: m (2 m + s) / (2 (m + s)^2).
        """
        keep, pull = np.exp(-STEP_S / MEMORY_S), STEP_S / SMOOTH_S
        wander, arm, hand = self._random.normal(size=6), np.zeros(6), np.zeros(6)
        noise = np.sqrt(1 - keep**2) * self._random.normal(size=(steps, 6))
        path = np.empty((steps, 6))
        for step in range(steps):
            path[step] = hand
            hand = hand + pull * (arm - hand)
            arm = arm + pull * (wander - arm)
            wander = keep * wander + noise[step]
        variance = MEMORY_S * (2 * MEMORY_S + SMOOTH_S) / (2 * (MEMORY_S + SMOOTH_S) ** 2)
        return path / np.sqrt(variance)

    def _cut(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.clip(self._random.normal(size=shape), -AT_MOST, AT_MOST)


@dataclass(frozen=True)
class Tremor:
    """Deviations (n, 7) rad, one each STEP_S, joined by cubic Hermite pieces; the gripper's are 0.
    After the last it stays."""

    shifts: np.ndarray

    @cached_property
    def _slopes(self) -> np.ndarray:
        slopes = np.zeros_like(self.shifts)
        slopes[1:-1] = (self.shifts[2:] - self.shifts[:-2]) / (2 * STEP_S)
        return slopes

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Deviation (7,) rad and its velocity (7,) rad/s."""
        index = int(time_s / STEP_S)
        if time_s < 0 or index >= len(self.shifts) - 1:
            return self.shifts[0 if time_s < 0 else -1].copy(), np.zeros(7)
        t = time_s / STEP_S - index
        p0, p1 = self.shifts[index], self.shifts[index + 1]
        m0, m1 = self._slopes[index] * STEP_S, self._slopes[index + 1] * STEP_S
        c, d = 3 * (p1 - p0) - 2 * m0 - m1, 2 * (p0 - p1) + m0 + m1
        return p0 + t * (m0 + t * (c + t * d)), (m0 + t * (2 * c + 3 * t * d)) / STEP_S


@dataclass(frozen=True)
class Performance:
    """A motion as a hand does it: with its tremor."""

    motion: Motion
    tremor: Tremor

    @property
    def end_s(self) -> float:
        return self.motion.end_s

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Position (7,) rad and velocity (7,) rad/s at a time."""
        position, velocity = self.motion.at(time_s)
        shift, drift = self.tremor.at(time_s)
        return position + shift, velocity + drift
