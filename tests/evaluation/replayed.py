"""Policies that know: they say again what the scripted operator's followers were told to do."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from aloha_stack.episodes.joint_columns import JointStream
from aloha_stack.episodes.joint_numbers import targets
from aloha_stack.policies.policy import Observation, PolicySpec
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import FOLLOWERS, JOINTS
from aloha_stack.twin.direct import TICK_NS
from aloha_stack.twin.direct_teleop import DirectTeleop
from aloha_stack.twin.operator_rehearsal import await_ready
from aloha_stack.twin.world import World

CHUNK = 40


@dataclass(frozen=True)
class Demonstration:
    """Of `task`, as an episode's alignment has it: `measured` (T, 14) rad, `action` (T, 14) in a
    policy's units. The action of a step is the command executed one step later."""

    task: str
    measured: np.ndarray
    action: np.ndarray


def demonstrated(task: str, seed: int, robot: Robot, ticks: int = 300) -> Demonstration:
    """The operator's performance, from the moment it begins."""
    world = World(task, seed, robot, "start")
    chain = DirectTeleop(world, robot)
    await_ready(chain)
    while world.time_ns % TICK_NS:
        chain.cycle()
    chain.operator.perform()
    executed, measured = [], []
    for _ in range(ticks + 1):
        chain.cycle()  # of the tick
        measured.append([chain.arms.measured()[name].position for name in FOLLOWERS])
        executed.append([chain.arms.executed()[name].position for name in FOLLOWERS])
        chain.cycle()
    return Demonstration(task, _joined(measured), in_policy_units(_joined(executed)[1:], robot))


def in_policy_units(rows: np.ndarray, robot: Robot) -> np.ndarray:
    """(T, 14) rad as training reads commands."""
    parts = []
    for index, name in enumerate(FOLLOWERS):
        own = rows[:, index * len(JOINTS) : (index + 1) * len(JOINTS)]
        nothing, stamps = np.zeros_like(own), np.zeros(len(own), np.int64)
        stream = JointStream(name, JOINTS, stamps, own, nothing, nothing)
        parts.append(targets(stream, robot.arm(name)))
    return np.concatenate(parts, axis=1)


class Replay:
    """Chunks of `action` (T, 14), by the time of the observation."""

    def __init__(self, action: np.ndarray, task: str = "transfer_cube", **spec: Any) -> None:
        values: dict[str, Any] = {"cameras": (), "image_size": None, "chunk": CHUNK, "task": task}
        self.spec = PolicySpec("act", "twin", **(values | spec))
        self._action = action
        self.observations: list[Observation] = []

    def reset(self) -> None:
        self.observations.clear()

    def act(self, observation: Observation) -> np.ndarray:
        self.observations.append(observation)
        since_ns = observation.stamp_ns - self.observations[0].stamp_ns
        step = round(since_ns / TICK_NS)
        rows = np.minimum(np.arange(step, step + self.spec.chunk), len(self._action) - 1)
        return self._action[rows].astype(np.float32)


def _joined(rows: list[list[np.ndarray]]) -> np.ndarray:
    return np.array(rows).reshape(len(rows), -1)
