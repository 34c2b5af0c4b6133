"""Reach: both arms go from anywhere to a hand-over, where the two grippers face each other.

The scene is gym-aloha's of transfer cube without its cube. Where the arms begin follows from the
seed of the world: beside their start pose, each joint by up to AROUND_RAD. At the hand-over the
fingertips are APART_M from each other, the left gripper rolled by 90 degrees, as it would take what
the right one holds. The hand-over may be moved while the world runs (`Goal`): both grippers with
it.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from aloha_stack.robot.joints import ARM_JOINTS, SIDES
from aloha_stack.twin.gym_aloha_tasks import TRANSFER_CUBE, scene_path
from aloha_stack.twin.kinematics import PINCH_M, Pose, gripper_rotation
from aloha_stack.twin.task import Goal, Position, Reward

MEETING_M = np.array([0.0, 0.5, 0.24])
APART_M = 0.10
LEFT = gripper_rotation(0.0, 0.0, np.pi / 2)
RIGHT = gripper_rotation(np.pi, 0.0, 0.0)

START_RAD = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0)
"""gym-aloha's start pose, around which arms begin."""
AROUND_RAD = (0.5, 0.35, 0.3, 0.5, 0.4, 0.6)

NEAR_M, NEAR_RAD = 0.02, 0.15
"""A gripper as near as this to its pose, in place and rotation, is there."""
REST_RAD_S = 0.05
"""Arms whose joints are all slower are at rest."""
ONE, BOTH, AT_REST = 1, 2, 3


@dataclass(frozen=True)
class Reach:
    """See above."""

    name: str = "reach"
    objects: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    has_goal: bool = True

    def load_scene(self) -> mujoco.MjModel:
        """gym-aloha's scene of transfer cube, its cube taken away."""
        spec = mujoco.MjSpec.from_file(str(scene_path(TRANSFER_CUBE.file)))
        (cube,) = (body for body in spec.bodies if body.name == "box")
        spec.delete(cube)
        return spec.compile()

    def sample(self, place: str, seed: int) -> np.ndarray:
        """No objects: (0, 7)."""
        return np.zeros((0, 7))

    def position(self, place: str, seed: int) -> Position | None:
        """None."""
        return None

    def start(self, side: str, seed: int) -> np.ndarray:
        """Joints (6,) rad at which the arm of a side begins in the world of `seed`."""
        draws = np.random.default_rng([seed, SIDES.index(side)])
        found: np.ndarray = START_RAD + np.array(AROUND_RAD) * draws.uniform(-1, 1, 6)
        return found

    def load_reward(self, model: mujoco.MjModel, data: mujoco.MjData) -> Reward:
        """1: a gripper is at its pose of the hand-over; 2: both are; 3: and the arms are at
        rest."""
        judge = _Judge(model, data)
        return Reward(judge.evaluate, AT_REST, judge.goal)


def hand_over() -> Goal:
    """Where it is when nobody has moved it."""
    half = np.array([APART_M / 2, 0.0, 0.0])
    return Goal({"left": Pose(MEETING_M - half, LEFT), "right": Pose(MEETING_M + half, RIGHT)})


class _Judge:
    """Tells from the bodies' places and the joints' speeds how far the task has come."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self.goal = hand_over()
        self._data = data
        self._bodies = {side: model.body(f"vx300s_{side}/gripper_link").id for side in SIDES}
        joints = [model.joint(f"vx300s_{side}/{name}") for side in SIDES for name in ARM_JOINTS]
        self._dof = np.array([joint.dofadr[0] for joint in joints])

    def evaluate(self) -> int:
        there = sum(self._is_there(side) for side in SIDES)
        if there < len(SIDES):
            return ONE if there else 0
        return AT_REST if np.abs(self._data.qvel[self._dof]).max() < REST_RAD_S else BOTH

    def _is_there(self, side: str) -> bool:
        body, pose = self._bodies[side], self.goal.pose(side)
        rotation = self._data.xmat[body].reshape(3, 3)
        away_m = self._data.xpos[body] + PINCH_M * rotation[:, 0] - pose.position
        cosine = (np.trace(pose.rotation.T @ rotation) - 1) / 2
        turned_rad = np.arccos(np.clip(cosine, -1, 1))
        return bool(np.linalg.norm(away_m) < NEAR_M and turned_rad < NEAR_RAD)
