"""What the nodes would have published, as serialised messages: bridges, teleop, safety, the twin.

Rates as in the graph: joints at 100 Hz, the task's state at 50 Hz, the heartbeat at 20 Hz, status
of arms and teleoperation at 10 Hz. All stamps are those of the cycle.
"""

from collections.abc import Mapping

import numpy as np

from aloha_stack.control.arm_modes import Mode
from aloha_stack.episodes.cdr_states import (
    ArmStatusFields,
    TaskStateFields,
    arm_status,
    safety_state,
    task_state,
    teleop_state,
)
from aloha_stack.episodes.cdr_writing import joint_state
from aloha_stack.robot.description import Arm
from aloha_stack.robot.gripper import finger_from_joint, finger_velocity
from aloha_stack.robot.joints import JOINTS, STATE_JOINTS
from aloha_stack.twin.direct import TICK_NS
from aloha_stack.twin.direct_teleop import DirectTeleop
from aloha_stack.twin.readings import Reading

HEARTBEAT_NS = 50_000_000
STATUS_NS = 100_000_000

Message = tuple[int, str, bytes]
"""Stamp (ns), topic, serialised message."""


class StreamLog:
    """The messages of one recording, in the order of their stamps."""

    def __init__(self, chain: DirectTeleop) -> None:
        self.messages: list[Message] = []
        self._chain = chain
        self._best, self._began_ns = 0, -1

    @property
    def best_reward(self) -> int:
        """Since the demonstration began."""
        return self._best

    def begin(self) -> None:
        """The demonstration begins now."""
        self._best, self._began_ns = 0, self._chain.world.time_ns

    def before(self) -> int:
        """Notes what is told before a cycle; the reward."""
        reward, now_ns = self._chain.world.reward(), self._chain.world.time_ns
        self._best = max(self._best, reward)
        if now_ns % TICK_NS == 0:
            self._add(now_ns, "/task/state", self._task_state(now_ns, reward))
        return reward

    def after(self, now_ns: int) -> None:
        """Notes what the cycle that began at `now_ns` has told."""
        chain = self._chain
        for name, reading in {**chain.leaders(), **chain.arms.measured()}.items():
            data = state_bytes(reading, chain.robot.arm(name))
            self._add(now_ns, f"/{name}/joint_states", data)
        for name, executed in chain.arms.executed().items():
            data = joint_state(executed.stamp_ns, JOINTS, executed.position.tolist())
            self._add(now_ns, f"/{name}/command_executed", data)
        if now_ns % HEARTBEAT_NS == 0:
            self._add(now_ns, "/safety/state", safety_state(now_ns))
        if now_ns % STATUS_NS == 0:
            stage = chain.teleop.stage
            self._add(now_ns, "/teleop/state", teleop_state(now_ns, stage, chain.teleop.reason))
            for name, fields in self._statuses().items():
                self._add(now_ns, f"/{name}/status", arm_status(now_ns, fields))

    def _add(self, now_ns: int, topic: str, data: bytes) -> None:
        self.messages.append((now_ns, topic, data))

    def _statuses(self) -> Mapping[str, ArmStatusFields]:
        statuses = {
            name: ArmStatusFields(name, Mode.BACK_DRIVEN, "", False)
            for name in self._chain.leaders()
        }
        for name, controller in self._chain.arms.controllers().items():
            counters = controller.counters
            statuses[name] = ArmStatusFields(
                name,
                controller.mode,
                controller.reason,
                controller.torque,
                cycles=counters.cycles,
                rejected_commands=counters.rejected_commands,
                clamped_commands=counters.clamped_commands,
            )
        return statuses

    def _task_state(self, now_ns: int, reward: int) -> bytes:
        world = self._chain.world
        elapsed_s = (now_ns - self._began_ns) * 1e-9 if self._began_ns >= 0 else 0.0
        fields = TaskStateFields(
            task=world.task.name,
            seed=world.seed,
            reward=reward,
            best_reward=self._best,
            max_reward=world.max_reward,
            elapsed_s=elapsed_s,
            operator_state=self._chain.operator.state,
        )
        return task_state(now_ns, fields)


def state_bytes(reading: Reading, arm: Arm) -> bytes:
    """A reading as sensor_msgs/JointState with nine joints: the fingers follow from the linkage."""
    linkage = arm.gripper.linkage
    finger = float(finger_from_joint(float(reading.position[-1]), linkage))
    speed = float(
        finger_velocity(float(reading.position[-1]), float(reading.velocity[-1]), linkage)
    )
    return joint_state(
        reading.stamp_ns,
        STATE_JOINTS,
        np.append(reading.position, (finger, -finger)).tolist(),
        np.append(reading.velocity, (speed, -speed)).tolist(),
        np.append(reading.effort, (0.0, 0.0)).tolist(),
    )
