"""Going over from one course to another while the arm moves: without a jump, a jerk or a stop."""

import numpy as np

from aloha_stack.robot.joints import JOINTS

AWAY_RAD_S = 0.5
"""The fastest at which a distance between two courses is made good."""

AWAY_RAD_S2 = 8.0
"""The greatest acceleration with which a seam is made good; an arm's limits are twice as much."""

SMALL_RAD, SMALL_RAD_S = 0.02, 1.0
"""Seams no greater than this are left to the limiter: it smooths them as it does all noise, while
fades, begun anew with every chunk of a rough policy, would sum up its noise."""

# Peaks, for a distance or a velocity of 1 that fades in a time of 1.
_VELOCITY, _ACCELERATION, _SLOWING = 1.875, 10 / 3**0.5, 3.94


class Seams:
    """What is left of the differences between courses and those that replaced them.

    At a seam the new course is off by a distance and by a velocity. Either, if it is not small, is
    added to it and fades: the distance as 1 - 10 u^3 + 15 u^4 - 6 u^5, the velocity as u - 6 u^3 +
    8 u^4 - 3 u^5 (quintics that end at rest; u goes from 0 to 1 in the time that each needs). So
    position and velocity go on as they were, whatever the new course is. Seams add up: each fades
    by itself, however many follow, so that they come to an end even if a course is replaced many
    times a second.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._start_s = self._lasts_s = np.zeros(0)
        self._distance = self._velocity = np.zeros((0, len(JOINTS)))

    def add(self, time_s: float, distance: np.ndarray, velocity: np.ndarray) -> None:
        """At `time_s` the new course is short of the old one by (7,) rad and (7,) rad/s."""
        away, faster = float(np.abs(distance).max()), float(np.abs(velocity).max())
        nothing = np.zeros(len(JOINTS))
        if away > SMALL_RAD:
            by_speed = _VELOCITY * away / AWAY_RAD_S
            lasts_s = max(by_speed, (_ACCELERATION * away / AWAY_RAD_S2) ** 0.5)
            self._add(time_s, lasts_s, distance, nothing)
        if faster > SMALL_RAD_S:
            self._add(time_s, _SLOWING * faster / AWAY_RAD_S2, nothing, velocity)

    def _add(self, time_s: float, lasts_s: float, distance: np.ndarray, speed: np.ndarray) -> None:
        self._start_s = np.append(self._start_s, time_s)
        self._lasts_s = np.append(self._lasts_s, lasts_s)
        self._distance = np.vstack([self._distance, distance])
        self._velocity = np.vstack([self._velocity, speed])

    def drop(self, before_s: float, after_s: float) -> None:
        """Forgets the seams that have faded by `before_s` and those that begin after `after_s`."""
        keep = (self._start_s + self._lasts_s > before_s) & (self._start_s <= after_s)
        if not keep.all():
            self._start_s, self._lasts_s = self._start_s[keep], self._lasts_s[keep]
            self._distance, self._velocity = self._distance[keep], self._velocity[keep]

    def at(self, now_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """What to add now, (7,) each: rad, rad/s, rad/s^2; None if nothing is left."""
        if not len(self._start_s):
            return None
        u = (now_s - self._start_s) / self._lasts_s
        on = (u >= 0) & (u < 1)
        if not on.any():
            return None
        u, t = u[on], self._lasts_s[on]
        d, v = self._distance[on], self._velocity[on]
        return (
            (1 - u**3 * (10 - u * (15 - 6 * u))) @ d + (u - u**3 * (6 - u * (8 - 3 * u))) * t @ v,
            -30 * (u * (1 - u)) ** 2 / t @ d + (1 - u**2 * (18 - u * (32 - 15 * u))) @ v,
            -60 * u * (1 - u) * (1 - 2 * u) / t**2 @ d - 12 * u * (3 - u * (8 - 5 * u)) / t @ v,
        )
