"""gym-aloha's tasks: scene, start poses of the objects and reward, from the installed package.

Nothing of them is copied: the scenes are read where the package keeps them, the poses are drawn by
its `utils`, and the reward is the method of its task classes, given the few names that it asks for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np


class UnknownTaskError(ValueError):
    """There is no task of that name."""


@dataclass(frozen=True)
class Task:
    """One task. `objects`: the free joints of its objects, in the order of the scene's qpos."""

    name: str
    scene: str
    objects: tuple[str, ...]
    reward_class: str


TASKS = {
    task.name: task
    for task in (
        Task(
            "transfer_cube",
            "bimanual_viperx_transfer_cube.xml",
            ("red_box_joint",),
            "TransferCubeTask",
        ),
        Task(
            "insertion",
            "bimanual_viperx_insertion.xml",
            ("red_peg_joint", "blue_socket_joint"),
            "InsertionTask",
        ),
    )
}


def find_task(name: str) -> Task:
    """The task called `name`; an UnknownTaskError lists those that exist."""
    if name not in TASKS:
        raise UnknownTaskError(f"no task '{name}'; there is {', '.join(TASKS)}")
    return TASKS[name]


def load_scene(task: Task) -> mujoco.MjModel:
    """The task's MuJoCo model, compiled from gym-aloha's own files."""
    from gym_aloha.constants import ASSETS_DIR

    return mujoco.MjModel.from_xml_path(str(Path(ASSETS_DIR) / task.scene))


def sample_objects(task: Task, seed: int) -> np.ndarray:
    """Start poses of the task's objects (n, 7): position (m) and quaternion (w, x, y, z)."""
    from gym_aloha.utils import sample_box_pose, sample_insertion_pose

    if task.name == "transfer_cube":
        return np.array([sample_box_pose(seed)], dtype=float)
    return np.array(sample_insertion_pose(seed), dtype=float)


@dataclass(frozen=True)
class Reward:
    """The task's own reward: an integer from 0 to `maximum`; `maximum` is success."""

    evaluate: Callable[[], int]
    maximum: int


def load_reward(task: Task, model: mujoco.MjModel, data: mujoco.MjData) -> Reward:
    """gym-aloha's reward of the task over plain MuJoCo structures.

    The reward code reads `physics.data` (contacts) and `physics.model.id2name` (geom names) only.
    """
    from gym_aloha.tasks import sim

    judge = getattr(sim, task.reward_class)()
    physics = _Physics(_Names(model), data)
    return Reward(evaluate=lambda: int(judge.get_reward(physics)), maximum=int(judge.max_reward))


class _Names:
    """dm_control's `id2name`, for geoms."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._geoms = tuple(model.geom(index).name for index in range(model.ngeom))

    def id2name(self, index: int, kind: str) -> str:
        if kind != "geom":
            raise NotImplementedError(f"only names of geoms are known here, not of a '{kind}'")
        return self._geoms[index]


@dataclass(frozen=True)
class _Physics:
    """As much of dm_control's Physics as the rewards read."""

    model: _Names
    data: Any
