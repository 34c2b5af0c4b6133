"""How a hand moves a leader arm: from key pose to key pose, each stretch of minimum jerk."""

from dataclasses import dataclass

import numpy as np

from aloha_stack.control.ramps import PEAK_VELOCITY, Ramp


@dataclass(frozen=True)
class Motion:
    """Key poses `poses` (n, 7) rad at `times_s` (n,), strictly rising. Before the first and after
    the last it stands still."""

    times_s: np.ndarray
    poses: np.ndarray

    def __post_init__(self) -> None:
        if self.poses.shape != (len(self.times_s), 7) or np.any(np.diff(self.times_s) <= 0):
            raise ValueError(
                f"a motion needs one pose of 7 joints per time, times rising; got times "
                f"{self.times_s} and poses of shape {self.poses.shape}"
            )

    @property
    def end_s(self) -> float:
        return float(self.times_s[-1])

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Position (7,) rad and velocity (7,) rad/s at a time."""
        times = self.times_s
        index = int(np.searchsorted(times, time_s, side="right")) - 1
        if index < 0 or index >= len(times) - 1:
            return self.poses[0 if index < 0 else -1].copy(), np.zeros(7)
        start, end = self.poses[index], self.poses[index + 1]
        stretch = Ramp(start, end, float(times[index + 1] - times[index]))
        position, velocity, _ = stretch.at(time_s - float(times[index]))
        return position, velocity


def shortest_s(start: np.ndarray, end: np.ndarray, speed_rad_s: float, at_least_s: float) -> float:
    """Length of a stretch whose quickest joint peaks at `speed_rad_s`."""
    return max(at_least_s, PEAK_VELOCITY * float(np.abs(end - start).max()) / speed_rad_s)
