"""What a command asks for as a function of time: trajectories, and streams of single targets."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from aloha_stack.robot.joints import JOINTS

TICK_S = 0.02
"""The period of a stream of single targets, before two of them have told it."""

AROUND_S = 0.03
"""The acceleration of a trajectory is looked at over this time to either side."""

STEADY = 0.25
"""Gaps between targets may differ by this share from the stream's period without changing it."""


@dataclass(frozen=True)
class Wanted:
    """Where the joints should be now, (7,) rad, and how that moves, (7,) rad/s and rad/s^2."""

    position: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    ended: bool = False


def still(position: np.ndarray, ended: bool = False) -> Wanted:
    """At rest at `position` (7,) rad."""
    nothing = np.zeros(len(JOINTS))
    return Wanted(position, nothing, nothing, ended)


@dataclass(frozen=True)
class Trajectory:
    """Cubic pieces through `knots` (n, 7) rad with `slopes` (n, 7) rad/s, at `times_s` (n,) from
    `start_s` on: so the spans between them are not rounded to the clock's resolution.

    Its acceleration is the mean over 2 * AROUND_S: that of the pieces themselves would be mostly
    noise where points are dense and rough, as in the chunks of a policy.
    """

    start_s: float
    times_s: tuple[float, ...]
    knots: np.ndarray
    slopes: np.ndarray

    def at(self, now_s: float) -> Wanted:
        times, time_s = self.times_s, now_s - self.start_s
        if time_s >= times[-1]:
            return still(self.knots[-1], ended=True)
        if time_s < times[0]:
            return still(self.knots[0])
        position, velocity = self._motion(time_s)
        earlier, later = max(time_s - AROUND_S, times[0]), min(time_s + AROUND_S, times[-1])
        change = self._motion(later)[1] - self._motion(earlier)[1]
        return Wanted(position, velocity, change / (later - earlier))

    def _motion(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Position and velocity, (7,) each, at a time from the first knot's to the last's."""
        times = self.times_s
        i = min(bisect_right(times, time_s), len(times) - 1) - 1
        span = times[i + 1] - times[i]
        t = (time_s - times[i]) / span
        p0, p1 = self.knots[i], self.knots[i + 1]
        m0, m1 = self.slopes[i] * span, self.slopes[i + 1] * span
        # p = p0 + m0 t + c t^2 + d t^3 with p(1) = p1, p'(1) = m1.
        c, d = 3 * (p1 - p0) - 2 * m0 - m1, 2 * (p0 - p1) + m0 + m1
        return p0 + t * (m0 + t * (c + t * d)), (m0 + t * (2 * c + 3 * t * d)) / span


@dataclass(frozen=True)
class _Piece:
    """From one target to the next, `start` (7,) rad at `start_s` to the one at `end_s`: a chord of
    `slope` (7,) rad/s, bent by `bend` (7,) rad/s^2 so that it still meets both."""

    start_s: float
    end_s: float
    start: np.ndarray
    slope: np.ndarray
    bend: np.ndarray

    def at(self, time_s: float, beyond_s: float) -> Wanted:
        """At `time_s`; goes on as it went for `beyond_s` at most (and no longer than it lasted)."""
        length = self.end_s - self.start_s
        t = max(0.0, time_s - self.start_s)
        last = length + min(length, beyond_s)
        u = min(t, last)
        position = self.start + u * (self.slope + (u - length) / 2 * self.bend)
        if t > last:
            return still(position)
        return Wanted(position, self.slope + (u - length / 2) * self.bend, self.bend)


class Targets:
    """A stream of single targets, read one period of the stream behind.

    The way goes through all targets. Between two of them it is a parabola whose bend is the mean of
    the last two second differences, limited as van Leer did for slopes (J. Comput. Phys. 23, 1977):
    a smooth motion is met with its acceleration, while a step, the rounding to encoder ticks and
    other noise, whose second differences alternate, are joined by straight lines, which overshoot
    nothing. While a target is awaited the way goes on as it went, for one more period at most.
    """

    def __init__(self, time_s: float, position: np.ndarray) -> None:
        self.last_s = time_s
        self.period_s = TICK_S
        self._last = position
        self._gaps: list[float] = []
        self._pieces: list[_Piece] = []
        self._curve = np.zeros(len(JOINTS))

    def add(self, time_s: float, position: np.ndarray) -> None:
        """The next target; one for the same time as the last replaces it."""
        if time_s <= self.last_s:
            self._last = position
            return
        gap = time_s - self.last_s
        slope = (position - self._last) / gap
        curve = bend = np.zeros(len(JOINTS))
        if self._pieces:
            before = self._pieces[-1]
            curve = 2 * (slope - before.slope) / (time_s - before.start_s)
            bend = agreed(curve, self._curve)
        self._curve = curve
        self._pieces = [*self._pieces[-2:], _Piece(self.last_s, time_s, self._last, slope, bend)]
        self.last_s, self._last = time_s, position
        self._gaps = [*self._gaps[-2:], gap]
        period = sorted(self._gaps)[(len(self._gaps) - 1) // 2]
        if abs(period - self.period_s) > STEADY * self.period_s:
            self.period_s = period

    def at(self, now_s: float) -> Wanted:
        if not self._pieces:
            return still(self._last)
        time_s = now_s - self.period_s
        for piece in self._pieces:
            if time_s < piece.end_s:
                break
        return piece.at(time_s, self.period_s)


def agreed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The mean of both, no more than twice the smaller one; 0 where they disagree in sign."""
    mean, twice = (one + other) / 2, 2 * np.minimum(np.abs(one), np.abs(other))
    return np.where(one * other > 0, np.clip(mean, -twice, twice), 0.0)
