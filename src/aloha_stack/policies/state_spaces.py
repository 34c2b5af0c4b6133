"""The spaces that stable dynamics move in: an arm's joints, or its gripper's pose.

Coordinates x are relative to the goal and in the network's units, so that one network serves any
goal. Joints: x = (q - q_goal) / scale. Poses: position and, of the rotation, the vector of the turn
from the goal's to this one (the logarithm on the manifold of rotations, at the goal),

    x = ((p - p_goal) / scale,  log(R_goal^T R) / scale)

so that x = 0 is the goal and a straight line through it is a screw-free turn about one axis. The
vector is unique below half a turn; limits keep it within LARGEST_TURN (no continuous policy can be
stable from *every* rotation: the space of rotations cannot be contracted to a point).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.policy import NAMES, PolicyError
from aloha_stack.policies.snds_config import POSE_SPACE, Motion, SndsConfig
from aloha_stack.robot.gripper_pose import GripperKinematics, GripperPose
from aloha_stack.robot.rotations import exp, log

LARGEST_TURN = np.pi - 0.1
"""Rad between a gripper's rotation and the goal's."""


class StateSpace(Protocol):
    """Between the 14 numbers of a state and coordinates x (dim,)."""

    def set_goal(self, state: np.ndarray) -> None:
        """From now on this state (14,) is at x = 0."""

    def coordinates(self, state: np.ndarray) -> np.ndarray:
        """x (dim,) of a state (14,)."""

    def joints(self, x: np.ndarray, near: np.ndarray) -> np.ndarray:
        """A state (14,) at x (dim,), its joints near those of the state `near`, inside the limits;
        what is no joint of the arms is as there."""

    def limit(self, x: Tensor) -> Tensor:
        """The nearest coordinates (B, dim) that may be sent: a convex set around the goal."""


class JointSpace:
    """Joint angles of one or both arms."""

    def __init__(self, columns: np.ndarray, motion: Motion) -> None:
        self._columns, self._scale = columns, motion.scale
        self._lower, self._upper = motion.lower[columns], motion.upper[columns]
        self.set_goal(motion.goal)

    def set_goal(self, state: np.ndarray) -> None:
        self._goal = np.asarray(state, dtype=float)[self._columns]
        self._low, self._high = (
            torch.from_numpy((bound - self._goal) / self._scale)
            for bound in (self._lower, self._upper)
        )

    def coordinates(self, state: np.ndarray) -> np.ndarray:
        x: np.ndarray = (state[self._columns] - self._goal) / self._scale
        return x

    def joints(self, x: np.ndarray, near: np.ndarray) -> np.ndarray:
        state = near.copy()
        state[self._columns] = np.clip(self._goal + self._scale * x, self._lower, self._upper)
        return state

    def limit(self, x: Tensor) -> Tensor:
        return x.clamp(self._low, self._high)


class PoseSpace:
    """Poses of the grippers of one or both arms, each in its own base's frame."""

    def __init__(
        self, arms: Sequence[GripperKinematics], columns: np.ndarray, motion: Motion
    ) -> None:
        self._arms, self._scale = arms, motion.scale.reshape(len(arms), 6)
        self._columns = columns.reshape(len(arms), 6)
        self._turns = torch.from_numpy(LARGEST_TURN / self._scale[:, 3])
        self.set_goal(motion.goal)

    def set_goal(self, state: np.ndarray) -> None:
        self._goal = self._poses(np.asarray(state, dtype=float))

    def coordinates(self, state: np.ndarray) -> np.ndarray:
        x = [
            np.append(here.position - goal.position, log(goal.rotation.T @ here.rotation))
            for here, goal in zip(self._poses(state), self._goal, strict=True)
        ]
        return (np.array(x) / self._scale).reshape(-1)

    def joints(self, x: np.ndarray, near: np.ndarray) -> np.ndarray:
        state = near.copy()
        moved = x.reshape(self._scale.shape) * self._scale
        for arm, columns, goal, move in zip(
            self._arms, self._columns, self._goal, moved, strict=True
        ):
            target = GripperPose(goal.position + move[:3], goal.rotation @ exp(move[3:]))
            state[columns] = arm.inverse(target, near[columns]).joints
        return state

    def limit(self, x: Tensor) -> Tensor:
        parts = x.reshape(len(x), -1, 6)
        turn = torch.linalg.vector_norm(parts[..., 3:], dim=-1, keepdim=True)
        factor = (self._turns[:, None] / turn.clamp(min=1e-12)).clamp(max=1)
        return torch.cat([parts[..., :3], parts[..., 3:] * factor], dim=-1).reshape(x.shape)

    def _poses(self, state: np.ndarray) -> list[GripperPose]:
        return [
            arm.forward(state[columns])
            for arm, columns in zip(self._arms, self._columns, strict=True)
        ]


def state_space(
    config: SndsConfig, motion: Motion, kinematics: Sequence[GripperKinematics] = ()
) -> StateSpace:
    """As `config` says; poses need the kinematics of its arms."""
    if config.space == POSE_SPACE:
        return PoseSpace(kinematics, config.columns, motion)
    return JointSpace(config.columns, motion)


def check_goal(state: np.ndarray, motion: Motion, columns: np.ndarray) -> None:
    """Raises PolicyError, which names the joint, for a goal that the arms may not go to."""
    goal = np.asarray(state, dtype=float)
    if goal.shape != (len(NAMES),) or not np.isfinite(goal).all():
        raise PolicyError(
            f"goal: expected {len(NAMES)} numbers ({NAMES[0]} … {NAMES[-1]}), found {state!r}"
        )
    outside = [
        f"{NAMES[c]} {goal[c]:.3f} (limits {motion.lower[c]:.3f} … {motion.upper[c]:.3f})"
        for c in columns
        if not motion.lower[c] < goal[c] < motion.upper[c]
    ]
    if outside:
        raise PolicyError(f"goal: outside the limits of the arms: {', '.join(outside)}, rad")
