"""Between the robot and a policy: readings to the numbers of its state, its chunks to joints."""

from collections.abc import Mapping, Sequence

import numpy as np

from aloha_stack.episodes.joint_columns import JointStream
from aloha_stack.episodes.joint_numbers import NAMES, measured
from aloha_stack.policies.policy import PolicyError
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import FOLLOWERS, JOINTS
from aloha_stack.twin.readings import Reading

STATE_NAMES = (
    *NAMES,
    *(f"{name}_velocity" for name in NAMES),
    *(f"{name}_effort" for name in NAMES),
)
"""All that a state may be made of, as training calls its columns."""


class RobotNumbers:
    """Units and order of episodes (`joint_numbers`), for the followers of `robot`.

    Raises PolicyError if `state_names` has a name that is not measured.
    """

    def __init__(self, robot: Robot, state_names: Sequence[str] = NAMES) -> None:
        unknown = [name for name in state_names if name not in STATE_NAMES]
        if unknown:
            raise PolicyError(
                f"the policy's state has {', '.join(unknown)}, which nobody measures; a state is "
                f"made of {', '.join(NAMES)}, and of their _velocity and _effort"
            )
        self._arms = [robot.arm(name) for name in FOLLOWERS]
        self._columns = [STATE_NAMES.index(name) for name in state_names]

    def state(self, readings: Mapping[str, Reading]) -> np.ndarray:
        """The policy's state (len(state_names),) float32 from a reading of each follower."""
        parts = []
        for arm in self._arms:
            reading = readings[arm.name]
            stream = JointStream(
                arm.name,
                JOINTS,
                np.array([reading.stamp_ns]),
                reading.position[None].copy(),
                reading.velocity[None].copy(),
                reading.effort[None].copy(),
            )
            parts.append(np.concatenate(measured(stream, arm)))
        return np.concatenate(parts, axis=1).reshape(-1)[self._columns].astype(np.float32)

    def angles(self, chunk: np.ndarray) -> np.ndarray:
        """A chunk (n, 14) in joints: (n, 14) float64 rad, grippers as their servo's angle."""
        rows = np.array(chunk, dtype=np.float64)
        for index, arm in enumerate(self._arms):
            column = (index + 1) * len(JOINTS) - 1
            rows[:, column] = arm.gripper.unnormalise_joint(rows[:, column])
        return rows

    def joined(self, positions: Mapping[str, np.ndarray]) -> np.ndarray:
        """Joints (7,) rad by follower as (14,)."""
        return np.concatenate([positions[arm.name] for arm in self._arms])

    def split(self, position: np.ndarray) -> dict[str, np.ndarray]:
        """(14,) rad as (7,) by follower."""
        width = len(JOINTS)
        return {
            arm.name: position[index * width : (index + 1) * width]
            for index, arm in enumerate(self._arms)
        }
