"""Whether an arm that is held at rest stands where it was told to stand."""

import numpy as np

from aloha_stack.robot.joints import ARM_JOINTS

FAR_RAD = 0.35
"""Beyond this a servo gives all it can: its gain of 800 / 128 times 228 ticks is more than the full
PWM of 885 (ROBOTIS e-manual, Position PID Gain). An arm's own weight bends it by far less."""
LASTS_S = 0.5
"""ROS time after which it is no mere delay."""


class Displaced:
    """Told in every cycle where the arm is held and where it is.

    Something that blocks an arm is pushed with full force, and when it gives way the arm springs
    back. So the arm is held anew where it is, once. If it is pulled off again before it was moved,
    it is bent by a load: held anew time and again it would creep, so it stays as it is told.
    `words` is what an operator should know; empty while the arm stands where it should.
    """

    def __init__(self) -> None:
        self.words = ""
        self._since_s: float | None = None
        self._eased = False

    def moved(self) -> None:
        """The goals are, or were, under way: what comes is another hold."""
        self.words, self._since_s, self._eased = "", None, False

    def look(self, goals: np.ndarray, position: np.ndarray, now_s: float) -> bool:
        """Goals at rest and the arm's joints, (7,) rad; whether to hold the arm anew now.

        The gripper is left out: it closes on things.
        """
        off = np.abs(position - goals)[: len(ARM_JOINTS)]
        worst = int(off.argmax())
        if off[worst] <= FAR_RAD:
            self.words, self._since_s = "", None
            return False
        self._since_s = now_s if self._since_s is None else min(self._since_s, now_s)
        if now_s - self._since_s <= LASTS_S:
            return False
        self.words = (
            f"{ARM_JOINTS[worst]} is {off[worst]:.2f} rad away from where it is held: it is "
            "blocked, overloaded, or limp; free it, or take the load off"
        )
        eased, self._eased = self._eased, True
        return not eased
