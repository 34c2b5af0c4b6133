"""The way to the rest pose, where an arm may lose its torque."""

import numpy as np

from aloha_stack.control.arm_modes import Settings
from aloha_stack.control.limits import JointLimiter
from aloha_stack.control.ramps import Ramp, ramp
from aloha_stack.robot.description import Arm

SETTLE_S = 0.3
"""After the ramp: the arm itself arrives a little later than its goals."""

ARRIVED_RAD = 0.01
"""Goals that are no further from the rest pose than this, and rest, have arrived."""

GIVE_UP_S = 12.0
"""ROS time after which parking that has not arrived is given up; the torque then stays on."""


WAIT_S = 3.0
"""ROS time that parking waits for an arm that is sick, before it is given up."""


class Parking:
    """A controlled stop, then a ramp to the rest pose, all through the arm's limiter.

    Takes `park_limit_s` at most for the ramp, whatever the distance: farther means faster. Time is
    counted from cycle to cycle, so that a clock that jumps, either way, does not move the goals.
    """

    def __init__(self, arm: Arm, limiter: JointLimiter, settings: Settings) -> None:
        self.arm, self.limiter, self.settings = arm, limiter, settings
        self.rest = np.clip(arm.rest_pose, limiter.lower, limiter.upper)
        self.done = False
        """Whether the goals are at the rest pose, and rest there."""
        self.elapsed_s = 0.0
        self._ramp: Ramp | None = None
        self._ramp_s = 0.0
        self._last_s: float | None = None
        self._waited_s = 0.0

    @property
    def given_up(self) -> bool:
        """Whether it has lasted, or waited, too long to be waited for."""
        return not self.done and (self.elapsed_s >= GIVE_UP_S or self._waited_s >= WAIT_S)

    def begin_again(self) -> None:
        """From where the limiter is now; the time that it took so far still counts."""
        self._ramp, self.done = None, False

    def wait(self, now_s: float) -> np.ndarray:
        """Like next_goal(), where the arm must not move: it stops, and goes on from there later."""
        self._waited_s += self._tick(now_s)
        self.begin_again()
        return self.limiter.stop()

    def next_goal(self, now_s: float) -> np.ndarray:
        """The goals (7,) rad of this cycle, at ROS time `now_s`."""
        period_s, self._waited_s = self._tick(now_s), 0.0
        if self._ramp is None:
            goal = self.limiter.stop()
            if self.limiter.at_rest:
                self._begin(goal)
            return goal
        self._ramp_s += period_s
        goal = self.limiter.step(*self._ramp.at(self._ramp_s))
        away = float(np.max(np.abs(self.limiter.position - self.rest)))
        over = self._ramp_s >= self._ramp.duration_s + SETTLE_S
        self.done = over and self.limiter.at_rest and away <= ARRIVED_RAD
        return goal

    def _tick(self, now_s: float) -> float:
        """The ROS time since the last cycle, without jumps of the clock."""
        last_s, self._last_s = self._last_s, now_s
        if last_s is None:
            return 0.0
        period_s = min(max(0.0, now_s - last_s), max(0.1, 2 * self.settings.period_s))
        self.elapsed_s += period_s
        return period_s

    def _begin(self, position: np.ndarray) -> None:
        course = ramp(position, self.rest, self.settings.park_speed_rad_s, self.arm.limits)
        limit = self.settings.park_limit_s
        self._ramp = Ramp(course.start, course.end, min(course.duration_s, limit))
        self._ramp_s = 0.0
