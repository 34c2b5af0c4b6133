"""Coming back to a target after a hold: gently, wherever the target is by then."""

import numpy as np

START_RAD_S = 0.5
"""The speed at which joining begins; it grows by as much each second, so that it ends."""

NEAR_RAD = 0.01


class Joining:
    """Leads from a hold to a target that may be far away and may move.

    begin() at a hold; then towards() gives, period by period, a point that runs after the target no
    faster than its speed; once it has caught up in all joints it is the target itself.
    """

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.active = False
        self._point = np.zeros(0)
        self._speed = START_RAD_S

    def begin(self, position: np.ndarray) -> None:
        """From `position` (7,) rad."""
        self.active, self._speed = True, START_RAD_S
        self._point = np.array(position, dtype=float)

    def towards(
        self, target: np.ndarray, target_velocity: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Position (7,) rad and velocity (7,) rad/s to follow in this period."""
        if not self.active:
            return target, target_velocity
        away = target - self._point
        if float(np.max(np.abs(away))) <= NEAR_RAD:
            self.active = False
            return target, target_velocity
        reach = self._speed * self.period_s
        step = np.clip(away, -reach, reach)
        self._point = self._point + step
        self._speed += START_RAD_S * self.period_s
        return self._point, step / self.period_s
