"""Moves from pose to pose, as a function of time."""

from dataclasses import dataclass

import numpy as np

from aloha_stack.robot.description import Limits

PEAK_VELOCITY, PEAK_ACCELERATION, PEAK_JERK = 1.875, 10 / 3**0.5, 60.0
"""Peaks of the minimum-jerk course for a distance of 1 in a time of 1."""

SHARE = 0.5
"""The part of the acceleration and jerk limits that a ramp uses."""


@dataclass(frozen=True)
class Ramp:
    """The minimum-jerk move s(t) = 10 t^3 - 15 t^4 + 6 t^5 of all joints together.

    Source: Flash & Hogan, "The coordination of arm movements", J. Neurosci. 1985. `start` and `end`
    (7,) rad; before 0 and after `duration_s` it stands still.
    """

    start: np.ndarray
    end: np.ndarray
    duration_s: float

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position rad, velocity rad/s and acceleration rad/s^2, (7,) each, after `time_s`."""
        if self.duration_s <= 0:
            return self.end.copy(), np.zeros_like(self.end), np.zeros_like(self.end)
        t = min(max(time_s / self.duration_s, 0.0), 1.0)
        distance = self.end - self.start
        rate = 30 * t**2 * (1 - t) ** 2 / self.duration_s
        change = 60 * t * (1 - t) * (1 - 2 * t) / self.duration_s**2
        return self.start + smooth(t) * distance, rate * distance, change * distance


def smooth(share: float) -> float:
    """The minimum-jerk course from 0 to 1, for 0 <= share <= 1."""
    t = min(max(share, 0.0), 1.0)
    return t**3 * (10 - 15 * t + 6 * t**2)


def ramp(start: np.ndarray, end: np.ndarray, top_speed_rad_s: float, limits: Limits) -> Ramp:
    """The ramp whose fastest joint reaches `top_speed_rad_s`, well within all limits."""
    distance = np.abs(np.asarray(end) - np.asarray(start))
    speed = np.minimum(limits.velocity, top_speed_rad_s)
    duration = max(
        float(np.max(PEAK_VELOCITY * distance / speed)),
        float(np.max(PEAK_ACCELERATION * distance / (SHARE * limits.acceleration)) ** (1 / 2)),
        float(np.max(PEAK_JERK * distance / (SHARE * limits.jerk)) ** (1 / 3)),
    )
    return Ramp(np.array(start, dtype=float), np.array(end, dtype=float), duration)
