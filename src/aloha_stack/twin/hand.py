"""A leader arm of the twin: no physics, but the two things that move one: a hand, or its servos.

Torque off: it follows the hand that holds it, or stays where it was left (as ALOHA's leaders with
their gravity compensation do). Torque on: each servo walks to its goal like a first-order lag with
a limited speed, against any hand. Effort is a proxy, in N·m: stiffness times distance to the goal.
"""

import numpy as np

from aloha_stack.robot.description import Arm

LAG_S = 0.05
STIFFNESS_NM_RAD = 5.0


class LeaderArm:
    """One leader. Arrays (7,) in rad, rad/s, N·m, in the order of JOINTS."""

    def __init__(self, arm: Arm, position: np.ndarray | None = None) -> None:
        self._limits = arm.limits
        self.position = np.array(arm.rest_pose if position is None else position, dtype=float)
        self.velocity = np.zeros(7)
        self.effort = np.zeros(7)

    def update(
        self,
        goal: np.ndarray,
        torque: np.ndarray,
        hand: tuple[np.ndarray, np.ndarray] | None,
        period_s: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Moves on by `period_s`; returns position, velocity and effort (7,) each.

        goal (7,), torque (7,) bool: the servos' registers. hand: position and velocity (7,) each of
        the hand that holds the arm, None if none does.
        """
        limits = self._limits
        way = np.clip(goal, limits.lower, limits.upper) - self.position
        # The exact decay over one period: no overshoot however long the period is.
        servo = way * -np.expm1(-period_s / LAG_S) / period_s
        servo = np.clip(servo, -limits.velocity, limits.velocity)
        if hand is None:
            free_position, free_velocity = self.position, np.zeros(7)
        else:
            free_position = np.clip(hand[0], limits.lower, limits.upper)
            free_velocity = hand[1]
        self.velocity = np.where(torque, servo, free_velocity)
        self.position = np.where(torque, self.position + servo * period_s, free_position)
        self.effort = np.where(torque, STIFFNESS_NM_RAD * way, 0.0)
        return self.position.copy(), self.velocity.copy(), self.effort.copy()
