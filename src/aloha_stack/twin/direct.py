"""The followers without ROS: from 50 Hz targets to physics in model time, as fast as it computes.

The objects are those of the graph (the bridge's ArmController with its courses and limits, goals in
whole ticks at 100 Hz, readings in whole ticks), and so is the order of events. With a tick at T:

    T          the bridge reads and writes its goals; the target of this tick comes too late for it
    T          the target, stamped T, reaches the bridge
    T + 10 ms  the bridge reads, and writes the first goals that know of it
    T + 20 ms  the next tick; the newest reading is that of T + 10 ms

Whoever computes a target at a tick therefore sees the arms as they were 10 ms before, as in the
graph, where readings are 6 to 10 ms old at a tick; the bridge reads the targets one period behind.
A leader's motion is in the executed commands 30 ms later (in the graph: 28 ms).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.arm_modes import Health, Mode
from aloha_stack.control.commands import Command, CommandError, check_command
from aloha_stack.dynamixel.goals import Goals
from aloha_stack.dynamixel.units import ticks_to_rad
from aloha_stack.robot.description import Arm, Robot
from aloha_stack.robot.joints import JOINTS
from aloha_stack.twin.readings import Reading, Readings
from aloha_stack.twin.world import World

CYCLE_NS = 10_000_000
TICK_NS = 20_000_000


@dataclass(frozen=True)
class Executed:
    """The goals (7,) rad that were written at `stamp_ns`, in whole ticks."""

    stamp_ns: int
    position: np.ndarray


class DirectArms:
    """The followers of `world`, held by their servos where they are.

    `delay_s` is how much longer every target takes before it is sent (whole cycles of 10 ms):
    slow thinking, a slow network. It is stamped when it is sent.
    """

    def __init__(self, world: World, robot: Robot, delay_s: float = 0.0) -> None:
        if delay_s < 0:
            raise ValueError(f"delay_s is {delay_s}; a target cannot be sent before it is known")
        self.world = world
        self._delay_ns = round(delay_s * 1e9 / CYCLE_NS) * CYCLE_NS
        self._steps = round(CYCLE_NS * 1e-9 / world.step_s)
        self._arms = {arm.name: _DirectArm(world, arm) for arm in robot.followers}
        self._under_way: deque[tuple[int, Mapping[str, np.ndarray]]] = deque()

    def step_tick(self, targets: Mapping[str, np.ndarray]) -> None:
        """One tick of 20 ms: `targets` are (7,) rad by follower, absolute, for now.

        A follower without a target goes on, and holds once its last one is older than 0.1 s, as
        with a target that is none (not finite, of the wrong length): `rejected` counts those.
        """
        self.cycle(targets)
        self.cycle()

    def cycle(self, targets: Mapping[str, np.ndarray] | None = None) -> None:
        """Half a tick: the bridges' cycle and 10 ms of physics; `targets` come with every other."""
        now_ns = self.world.time_ns
        for arm in self._arms.values():
            arm.cycle(now_ns)
        if targets:
            self._under_way.append((now_ns + self._delay_ns, dict(targets)))
        while self._under_way and self._under_way[0][0] <= now_ns:
            for name, target in self._under_way.popleft()[1].items():
                self._arm(name).offer(target, now_ns)
        for _ in range(self._steps):
            self.world.step()

    def measured(self) -> dict[str, Reading]:
        """The newest reading of each follower. Raises RuntimeError before the first cycle."""
        return {name: arm.known() for name, arm in self._arms.items()}

    def executed(self) -> dict[str, Executed]:
        """The last goals of each follower; those it was held at before the first cycle."""
        return {name: arm.executed for name, arm in self._arms.items()}

    def modes(self) -> dict[str, Mode]:
        """What each follower's bridge does."""
        return {name: arm.controller.mode for name, arm in self._arms.items()}

    def controllers(self) -> dict[str, ArmController]:
        """The deciding part of each bridge, for what else it tells (counters, reason)."""
        return {name: arm.controller for name, arm in self._arms.items()}

    @property
    def rejected(self) -> int:
        """Targets that were none, of all followers."""
        return sum(arm.controller.counters.rejected_commands for arm in self._arms.values())

    def _arm(self, name: str) -> "_DirectArm":
        if name not in self._arms:
            raise ValueError(f"no follower '{name}'; there is {', '.join(self._arms)}")
        return self._arms[name]


class _DirectArm:
    """One follower: its controller, its servos' rounding, its joints in the world."""

    def __init__(self, world: World, arm: Arm) -> None:
        self.controller = ArmController(arm)
        self._world, self._name = world, arm.name
        self._readings = Readings(arm)
        self._goals = Goals(arm, _no_register)
        self._torque = np.ones(len(JOINTS), dtype=bool)
        self.measured: Reading | None = None
        here = self._readings.read(world.time_ns, *world.state(arm.name))
        self.executed = self._write(here.position, world.time_ns)
        self.controller.active = self.controller.torque = True
        self.controller.take_hold(self.executed.position)

    def known(self) -> Reading:
        if self.measured is None:
            raise RuntimeError(f"{self._name} has not been read yet: call cycle() before")
        return self.measured

    def cycle(self, now_ns: int) -> None:
        now_s = now_ns * 1e-9
        self.measured = self._readings.read(now_ns, *self._world.state(self._name))
        self.controller.counters.cycles += 1
        self.controller.heartbeat(False, "", now_s)
        goal = self.controller.next_goal(now_s, now_s, Health())
        assert goal is not None, f"{self._name} is held, so it has goals"
        self.executed = self._write(goal, now_ns)

    def offer(self, target: np.ndarray, now_ns: int) -> None:
        command: Command | CommandError
        try:
            command = check_command(JOINTS, [target.tolist()], [()], [0.0], now_ns * 1e-9)
        except CommandError as error:
            command = error
        self.controller.offer(command, now_ns * 1e-9)

    def _write(self, goal: np.ndarray, now_ns: int) -> Executed:
        written = ticks_to_rad(np.array(self._goals.ticks(goal)))
        self._world.command(self._name, written, self._torque)
        return Executed(now_ns, written)


def _no_register(servo_id: int, name: str) -> int:
    raise NotImplementedError(f"{name} of servo {servo_id}: nobody reads registers here")
