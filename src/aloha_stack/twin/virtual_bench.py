"""A virtual arm without physics: its joints run to their goals. For tests, benches and dry runs."""

import math

import numpy as np

from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.virtual_arm import VirtualArm


class BenchArm(VirtualArm):
    """A VirtualArm whose joints follow their goals at `speed_rad_s` (at once, by default).

    A joint without torque stays where it is, until place() moves it as a hand would.
    """

    def __init__(self, arm: Arm, speed_rad_s: float = math.inf) -> None:
        super().__init__(arm)
        self.speed_rad_s = speed_rad_s
        self.position = np.array(arm.rest_pose, dtype=float)
        self.place(self.position)

    def place(self, position: np.ndarray) -> None:
        """Puts the joints at `position` (7,) rad."""
        self.position = np.array(position, dtype=float)
        self.update(self.position, np.zeros(len(JOINTS)), np.zeros(len(JOINTS)))

    def advance(self, now_s: float) -> None:
        """Model time goes on to `now_s`: joints under torque move."""
        elapsed = max(0.0, now_s - self.line.now_s)
        goal, torque = self.goals()
        reach = self.speed_rad_s * elapsed if elapsed else 0.0
        step = np.where(torque, np.clip(goal - self.position, -reach, reach), 0.0)
        if step.any():
            self.position = self.position + step
            self.update(self.position, step / elapsed, np.zeros(len(JOINTS)))
        elif self._state[1].any():
            self.place(self.position)
        super().advance(now_s)
