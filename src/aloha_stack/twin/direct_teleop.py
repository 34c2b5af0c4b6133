"""Teleoperation without ROS: the operator's hands, the leaders' servos, teleop and the followers.

Everything from the hands to the physics in model time, through the graph's own objects; the order
of events is that of `direct`.
"""

from collections.abc import Mapping

import numpy as np

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.teleop import ArmView, Pair, Teleoperation, TeleopStage
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import leader_of
from aloha_stack.twin.direct import CYCLE_NS, TICK_NS, DirectArms
from aloha_stack.twin.hand import LeaderArm
from aloha_stack.twin.operator import Operator
from aloha_stack.twin.operator_manner import HUMAN, Manner
from aloha_stack.twin.readings import Reading, Readings
from aloha_stack.twin.world import World

LIMP = np.zeros(7, dtype=bool)


class DirectTeleop:
    """An operator who teleoperates the followers of `world`; see DirectArms for `delay_s`."""

    def __init__(
        self, world: World, robot: Robot, delay_s: float = 0.0, manner: Manner = HUMAN
    ) -> None:
        self.world, self.robot = world, robot
        self.operator = Operator(world, robot, manner)
        pairs = tuple(Pair(robot.arm(leader_of(arm.name)), arm) for arm in robot.followers)
        self.teleop = Teleoperation(pairs)
        self.arms = DirectArms(world, robot, delay_s)
        self._leaders = {arm.name: LeaderArm(arm) for arm in robot.leaders}
        self._readings = {arm.name: Readings(arm) for arm in robot.leaders}
        self._measured: dict[str, Reading] = {}
        self._next_tick_ns = world.time_ns + TICK_NS

    @property
    def ready(self) -> bool:
        """Whether the operator may be told to perform: followed, and at the start pose."""
        return self.operator.ready and self.teleop.stage == TeleopStage.ENGAGED

    def leaders(self) -> Mapping[str, Reading]:
        """The newest reading of each leader; empty before the first cycle."""
        return self._measured

    def cycle(self) -> bool:
        """10 ms of everything. True if it began with a tick of the teleoperation."""
        now_ns = self.world.time_ns
        targets, ticks = None, now_ns >= self._next_tick_ns
        if ticks:
            self._next_tick_ns += TICK_NS
            targets = self.teleop.tick(now_ns * 1e-9, self._views(now_ns))
        self._move_leaders(now_ns)
        self.arms.cycle(targets)
        return ticks

    def _move_leaders(self, now_ns: int) -> None:
        engaged = self.teleop.stage == TeleopStage.ENGAGED
        hands = self.operator.update(now_ns * 1e-9, engaged)
        for name, leader in self._leaders.items():
            state = leader.update(leader.position, LIMP, hands[name], CYCLE_NS * 1e-9)
            self._measured[name] = self._readings[name].read(now_ns, *state)

    def _views(self, now_ns: int) -> dict[str, ArmView]:
        """What teleop knows at a tick: the readings of the cycle before."""
        modes: dict[str, Mode] = dict.fromkeys(self._leaders, Mode.BACK_DRIVEN)
        modes |= self.arms.modes()
        readings = {**self._measured, **self.arms.measured()}
        return {
            name: ArmView(reading.position, (now_ns - reading.stamp_ns) * 1e-9, modes[name])
            for name, reading in readings.items()
        }
