"""A leader arm of the twin, outside the scene: moved by a hand, by its servos, by its weight.

Torque off: a joint follows the hand that holds the arm, or stays where it was left (as on ALOHA's
leaders, which springs and friction hold up). Torque on, in a position mode: it walks to its goal
like a first-order lag with a limited speed, against any hand; its effort is a proxy, stiffness
times distance to the goal. In current mode it has weight: a hand carries it along; left alone, it
moves by what its servos push with, less what gravity takes, friction and damping,

    inertia · acceleration = push - weight - friction · sign(velocity) - damping · velocity,

each joint by itself (a leader that is to be made light moves slowly: what joints do to each other
is small). The next velocity is solved for implicitly, friction too: no step is too long, and what
friction can hold does not move.
"""

from collections.abc import Callable

import numpy as np

from aloha_stack.robot.description import Arm

LAG_S = 0.05
STIFFNESS_NM_RAD = 5.0

INERTIA = np.array([0.10, 0.12, 0.06, 0.02, 0.02, 0.015, 0.01])
"""kg·m² at each joint, with the rotors behind their gears. Modest guesses, as are the next two:
nobody has measured them, and nothing but how fast a leader falls depends on them."""
FRICTION = np.array([0.20, 0.25, 0.20, 0.08, 0.08, 0.06, 0.05])
"""N·m."""
DAMPING = np.array([0.15, 0.20, 0.15, 0.05, 0.05, 0.03, 0.02])
"""N·m·s/rad."""

Weight = Callable[[np.ndarray], np.ndarray]
"""The torques (7,) N·m that would hold the arm still at a position (7,) rad."""


def _weightless(position: np.ndarray) -> np.ndarray:
    return np.zeros_like(position)


class LeaderArm:
    """One leader; `weight` is felt in current mode only. Arrays (7,) in rad, rad/s, N·m, in the
    order of JOINTS."""

    def __init__(
        self, arm: Arm, position: np.ndarray | None = None, weight: Weight = _weightless
    ) -> None:
        self._limits = arm.limits
        self._weight = weight
        self.position = np.array(arm.rest_pose if position is None else position, dtype=float)
        self.velocity = np.zeros(7)
        self.effort = np.zeros(7)

    def update(
        self,
        goal: np.ndarray,
        torque: np.ndarray,
        hand: tuple[np.ndarray, np.ndarray] | None,
        period_s: float,
        push: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Moves on by `period_s`; returns position, velocity and effort (7,) each.

        goal (7,), torque (7,) bool: of the joints in a position mode. hand: position and velocity
        (7,) each of the hand that holds the arm, None if none does. push: torque (7,) N·m and
        which joints are in current mode (7,) bool; None if none is.
        """
        limits = self._limits
        way = np.clip(goal, limits.lower, limits.upper) - self.position
        # The exact decay over one period: no overshoot however long the period is.
        servo = way * -np.expm1(-period_s / LAG_S) / period_s
        servo = np.clip(servo, -limits.velocity, limits.velocity)
        pushed = np.zeros(7, dtype=bool) if push is None else push[1] & ~torque
        if hand is not None:
            position, velocity = np.clip(hand[0], limits.lower, limits.upper), hand[1]
        elif push is not None and pushed.any():
            moved, speed = self._fall(push[0], period_s)
            position = np.where(pushed, moved, self.position)
            velocity = np.where(pushed, speed, 0.0)
        else:
            position, velocity = self.position, np.zeros(7)
        self.velocity = np.where(torque, servo, velocity)
        self.position = np.where(torque, self.position + servo * period_s, position)
        effort = np.where(torque, STIFFNESS_NM_RAD * way, 0.0)
        self.effort = effort if push is None else np.where(pushed, push[0], effort)
        return self.position.copy(), self.velocity.copy(), self.effort.copy()

    def _fall(self, push: np.ndarray, period_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Position and velocity (7,) after `period_s` under `push` (7,) and the arm's weight."""
        impulse = (push - self._weight(self.position)) * period_s
        swing = INERTIA * self.velocity + impulse
        slowed = np.sign(swing) * np.maximum(np.abs(swing) - FRICTION * period_s, 0.0)
        velocity = slowed / (INERTIA + DAMPING * period_s)
        free = self.position + velocity * period_s
        position = np.clip(free, self._limits.lower, self._limits.upper)
        return position, np.where(position == free, velocity, 0.0)
