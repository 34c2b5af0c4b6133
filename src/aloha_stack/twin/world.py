"""The world of the twin: the scene of a task under plain MuJoCo, driven by servo goals.

`step` integrates 2 ms. As dm_control does for gym-aloha, a step ends with positions, contacts and
forces brought up to date, so that state and reward always belong to `time_s`.
"""

from collections.abc import Mapping
from typing import Literal

import mujoco
import numpy as np

from aloha_stack.robot.description import Arm, Robot
from aloha_stack.robot.joints import JOINTS, side_of
from aloha_stack.twin.looks import Look
from aloha_stack.twin.tasks import find_task
from aloha_stack.twin.variation import variation_of
from aloha_stack.twin.world_arm import WorldArm

SETTLE_S = 4.0
"""Model time in which limp arms come to rest before the world begins."""


class WorldDiverged(RuntimeError):
    """The physics has become unstable: no state of this world means anything any more."""


class World:
    """One task's world. Owns the MuJoCo model and data; one thread may use it.

    `pose` says where the followers begin: 'rest' folded and limp, as arms are found (they have
    settled before time begins); 'start' held where the task has them begin, mostly their start
    pose. `variation` is as
    `variation_of` knows it. Raises UnknownTaskError, VariationError.
    """

    def __init__(
        self,
        task: str,
        seed: int,
        robot: Robot,
        pose: Literal["rest", "start"] = "rest",
        variation: str = "",
    ) -> None:
        self.task = find_task(task)
        self.variation = variation_of(self.task, variation)
        self.model = self.task.load_scene()
        # MuJoCo would otherwise answer instability by silently starting anew.
        self.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self.data = mujoco.MjData(self.model)
        self._step_ns = round(self.model.opt.timestep * 1e9)
        self._steps = 0
        self._reward = self.task.load_reward(self.model, self.data)
        self.max_reward, self.goal = self._reward.maximum, self._reward.goal
        self._arms = {arm.name: WorldArm(arm, self.model, self.data) for arm in robot.followers}
        for arm in robot.followers:
            where = self.start_of(arm, seed) if pose == "start" else arm.rest_pose
            self._arms[arm.name].place(where)
            self.command(arm.name, where, np.full(7, pose == "start"))
        mujoco.mj_forward(self.model, self.data)
        if pose == "rest":
            for _ in range(round(SETTLE_S / self.step_s)):
                self.step()
            self._steps = 0
            self.data.time = 0.0
        self.reset(seed)

    @property
    def step_s(self) -> float:
        """Model time of one step, s."""
        return self._step_ns * 1e-9

    @property
    def time_ns(self) -> int:
        """Model time, ns: steps so far times the step."""
        return self._steps * self._step_ns

    @property
    def time_s(self) -> float:
        """Model time, s."""
        return self.time_ns * 1e-9

    def step(self) -> None:
        """Integrates one step. Raises WorldDiverged if the state is not finite or absurd."""
        for arm in self._arms.values():
            arm.advance()
        mujoco.mj_step2(self.model, self.data)
        mujoco.mj_step1(self.model, self.data)
        self._steps += 1
        for kind in _DIVERGED:
            warning = self.data.warning[kind]
            if warning.number:
                raise WorldDiverged(
                    f"the physics diverged at {self.time_s:.3f} s of model time "
                    f"({kind.name[7:]}, {self._blame(kind, warning.lastinfo)}); "
                    "start a new world, and look at the last goals given to that joint"
                )

    def _blame(self, kind: mujoco.mjtWarning, index: int) -> str:
        """The joint to which MuJoCo's index belongs: into qpos for BADQPOS, else into the dofs."""
        addresses = self.model.jnt_qposadr if kind == _DIVERGED[0] else self.model.jnt_dofadr
        joint = int(np.searchsorted(addresses, index, side="right")) - 1
        return f"joint {self.model.joint(joint).name}"

    def start_of(self, follower: Arm, seed: int) -> np.ndarray:
        """Where (7,) rad a follower begins the task in the world of `seed`."""
        joints = self.task.start(side_of(follower.name), seed)
        start = follower.start_pose
        return start if joints is None else np.append(joints, start[len(joints) :])

    def reset(self, seed: int) -> None:
        """Puts the objects where `seed` says, at rest, and the goal where it was. The arms stay
        where they are."""
        self.seed = seed
        if self.goal is not None:
            self.goal.move(np.zeros(3))
        poses = self.task.sample(self.variation.place, seed)
        for name, pose in zip(self.task.objects, poses, strict=True):
            joint = self.data.joint(name)
            joint.qpos[:] = pose
            joint.qvel[:] = 0.0
        # No contact force of the former place may linger in the solver's warm start.
        self.data.qacc_warmstart[:] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def reward(self) -> int:
        """The task's own reward now, 0 to `max_reward`."""
        return self._reward.evaluate()

    def objects(self) -> Mapping[str, np.ndarray]:
        """Pose (7,) of each object by the name of its joint: position (m), quaternion (w first)."""
        return {name: self.data.joint(name).qpos.copy() for name in self.task.objects}

    @property
    def look(self) -> Look:
        """How this world looks to those who render it."""
        return self.variation.look(self.seed)

    def qpos(self) -> np.ndarray:
        """A copy of all generalised positions (nq,), for snapshots."""
        return self.data.qpos.copy()

    def command(self, arm: str, position: np.ndarray, torque: np.ndarray) -> None:
        """Goals of a follower's seven servos (rad) and which of them have torque (bool), (7,) each.

        Goals beyond a joint's range are held at its end, as a servo's position limits do. Goals of
        joints without torque are kept: they count again when the torque comes back.
        """
        follower = self._arm(arm)
        if np.shape(position) != (7,) or np.shape(torque) != (7,):
            raise ValueError(
                f"{arm}: expected goals and torque of {len(JOINTS)} joints ({', '.join(JOINTS)}), "
                f"got arrays of shape {np.shape(position)} and {np.shape(torque)}"
            )
        if not np.all(np.isfinite(position)):
            raise ValueError(f"{arm}: goals must be finite, got {position}")
        follower.command(np.asarray(position, dtype=float), np.asarray(torque, dtype=bool))

    def state(self, arm: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position (rad), velocity (rad/s), effort (N·m) of a follower's servos, (7,) each."""
        return self._arm(arm).state()

    def _arm(self, name: str) -> WorldArm:
        if name not in self._arms:
            raise ValueError(f"the world has no arm '{name}'; it has {', '.join(self._arms)}")
        return self._arms[name]


_DIVERGED = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)
