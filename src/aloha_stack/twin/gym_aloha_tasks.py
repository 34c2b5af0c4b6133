"""gym-aloha's tasks: scene, start poses of the objects and reward, from the installed package.

Nothing of them is copied: the scenes are read where the package keeps them, the poses are drawn by
its `utils`, and the reward is the method of its task classes, given the few names that it asks for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from aloha_stack.twin.task import Position, Reward


@dataclass(frozen=True)
class GymAlohaTask:
    """A task of gym-aloha: its scene's file, and the class of its reward."""

    name: str
    file: str
    objects: tuple[str, ...]
    reward_class: str
    places: tuple[str, ...] = ()
    has_goal: bool = False

    def load_scene(self) -> mujoco.MjModel:
        """The task's MuJoCo model, compiled from gym-aloha's own files."""
        return mujoco.MjModel.from_xml_path(str(scene_path(self.file)))

    def sample(self, place: str, seed: int) -> np.ndarray:
        """Start poses of the objects (n, 7), as gym-aloha draws them."""
        from gym_aloha.utils import sample_box_pose, sample_insertion_pose

        if self is TRANSFER_CUBE:
            return np.array([sample_box_pose(seed)], dtype=float)
        return np.array(sample_insertion_pose(seed), dtype=float)

    def position(self, place: str, seed: int) -> Position | None:
        """None: the objects lie anywhere in an area."""
        return None

    def start(self, side: str, seed: int) -> np.ndarray | None:
        """None: every arm begins at its start pose."""
        return None

    def load_reward(self, model: mujoco.MjModel, data: mujoco.MjData) -> Reward:
        """gym-aloha's reward of the task over plain MuJoCo structures.

        The reward code reads `physics.data` (contacts) and `physics.model.id2name` (geom names)
        only.
        """
        from gym_aloha.tasks import sim

        judge = getattr(sim, self.reward_class)()
        physics = _Physics(_Names(model), data)
        return Reward(evaluate=lambda: int(judge.get_reward(physics)), maximum=judge.max_reward)


TRANSFER_CUBE = GymAlohaTask(
    "transfer_cube",
    "bimanual_viperx_transfer_cube.xml",
    ("red_box_joint",),
    "TransferCubeTask",
)
INSERTION = GymAlohaTask(
    "insertion",
    "bimanual_viperx_insertion.xml",
    ("red_peg_joint", "blue_socket_joint"),
    "InsertionTask",
)


def scene_path(file: str) -> Path:
    """Where gym-aloha keeps a scene."""
    from gym_aloha.constants import ASSETS_DIR

    return Path(ASSETS_DIR) / file


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
