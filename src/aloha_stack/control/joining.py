"""Coming back to a target after a hold: gently, wherever the target is by then."""

import numpy as np

from aloha_stack.control.courses import Wanted

START_RAD_S = 0.5
"""The speed at which joining begins; it grows by as much each second, so that it ends."""

CLOSING_PER_S = 8.0
"""How quickly the last bit of the way closes, so that it does not arrive with a bump."""

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

    def towards(self, target: Wanted) -> Wanted:
        """What to follow in this period."""
        if not self.active:
            return target
        away = target.position - self._point
        if float(np.max(np.abs(away))) <= NEAR_RAD:
            self.active = False
            return target
        velocity = np.clip(target.velocity + CLOSING_PER_S * away, -self._speed, self._speed)
        self._point = self._point + velocity * self.period_s
        self._speed += START_RAD_S * self.period_s
        return Wanted(self._point, velocity, np.zeros_like(velocity))
