"""What a task of the twin is: a scene, objects whose place follows from a seed, and a reward."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from aloha_stack.twin.kinematics import Pose


class Goal:
    """Where the grippers of both sides are to be; it can be moved while the world runs."""

    def __init__(self, poses: Mapping[str, Pose]) -> None:
        self._poses = dict(poses)
        self.move(np.zeros(3))

    def move(self, shift_m: np.ndarray) -> None:
        """From now on it is so far (3,) m from where it first was."""
        self._shift_m = np.asarray(shift_m, dtype=float)

    def pose(self, side: str) -> Pose:
        """Of the pinch point of one side."""
        pose = self._poses[side]
        return Pose(pose.position + self._shift_m, pose.rotation)


@dataclass(frozen=True)
class Reward:
    """The task's own reward: an integer from 0 to `maximum`; `maximum` is success. `goal`, of a
    task that has one, is what it is given for."""

    evaluate: Callable[[], int]
    maximum: int
    goal: Goal | None = None


@dataclass(frozen=True)
class Position:
    """Where an object lies on a line: from 0 at its beginning to 1 at its end, and `x_m` in the
    world. `name` is the point's that it was put at, empty if it lies anywhere."""

    name: str
    share: float
    x_m: float


class Task(Protocol):
    """One task. `objects`: the free joints of its objects, in the order of the scene's qpos.
    `places`: the words that say where its objects may lie, the first if nothing is said; none where
    there is no choice. `has_goal`: whether its reward is for reaching a goal that can be moved."""

    @property
    def name(self) -> str: ...
    @property
    def objects(self) -> tuple[str, ...]: ...
    @property
    def places(self) -> tuple[str, ...]: ...
    @property
    def has_goal(self) -> bool: ...

    def load_scene(self) -> mujoco.MjModel:
        """The task's MuJoCo model, a new one each time."""

    def sample(self, place: str, seed: int) -> np.ndarray:
        """Start poses of the objects (n, 7): position (m) and quaternion (w, x, y, z)."""

    def position(self, place: str, seed: int) -> Position | None:
        """Where that is on the task's line; None for a task without one."""

    def start(self, side: str, seed: int) -> np.ndarray | None:
        """Joints (6,) rad at which the follower of a side begins; None: at its start pose."""

    def load_reward(self, model: mujoco.MjModel, data: mujoco.MjData) -> Reward:
        """The reward, of the world that is in `data` whenever it is asked for."""
