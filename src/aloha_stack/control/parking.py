"""The way to the rest pose, where an arm may lose its torque."""

import numpy as np

from aloha_stack.control.arm_modes import Settings
from aloha_stack.control.limits import JointLimiter
from aloha_stack.control.ramps import Ramp, ramp
from aloha_stack.robot.description import Arm

SETTLE_S = 0.3
"""After the ramp: the arm itself arrives a little later than its goals."""


class Parking:
    """A controlled stop, then a ramp to the rest pose, all through the arm's limiter.

    Takes `park_limit_s` at most for the ramp, whatever the distance: farther means faster.
    """

    def __init__(self, arm: Arm, limiter: JointLimiter, settings: Settings) -> None:
        self.arm, self.limiter, self.settings = arm, limiter, settings
        self.done = False
        self._ramp: Ramp | None = None
        self._started_s = 0.0

    def next_goal(self, now_s: float) -> np.ndarray:
        """The goals (7,) rad of this cycle, at ROS time `now_s`."""
        if self._ramp is None:
            goal = self.limiter.stop()
            if self.limiter.at_rest:
                self._begin(goal, now_s)
            return goal
        if now_s < self._started_s:  # the clock was set back
            self._begin(self.limiter.position, now_s)
        assert self._ramp is not None
        since = now_s - self._started_s
        self.done = since >= self._ramp.duration_s + SETTLE_S
        return self.limiter.step(*self._ramp.at(since))

    def _begin(self, position: np.ndarray, now_s: float) -> None:
        course = ramp(position, self.arm.rest_pose, self.settings.park_speed_rad_s, self.arm.limits)
        limit = self.settings.park_limit_s
        self._ramp = Ramp(course.start, course.end, min(course.duration_s, limit))
        self._started_s = now_s
