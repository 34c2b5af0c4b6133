"""The arm's readings, made by Interbotix' driver and taken as it publishes them."""

import math
import time
from collections.abc import Iterable

import numpy as np
from rclpy.node import Node

from aloha_stack.dynamixel import units
from aloha_stack.dynamixel.arm_bus import BusState
from aloha_stack.dynamixel.errors import PortMissing, WrongModel
from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes.interbotix_driver import Sample, XsDriver
from aloha_stack.nodes.interbotix_values import MILLIAMPERE_PER_UNIT, failed_joints
from aloha_stack.nodes.interbotix_watch import Looks
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import JOINTS

CLOCKS_APART_S = 1.0


class Readings:
    """Each message of the driver's joint_states is a reading once, if it is one at all.

    A reading waits up to `patience_s` for the next message; after one that did not come, the next
    does not wait. Numbers that are twice as old as that, by their stamp, are none.
    """

    def __init__(
        self, arm: Arm, node: Node, driver: XsDriver, looks: Looks, patience_s: float
    ) -> None:
        self._arm, self._driver, self._looks = arm, driver, looks
        self._clock, self._patience_s = node.get_clock(), patience_s
        addressed = arm.addressed
        self._ids = tuple(servo.id for servo in addressed)
        nm_per_unit = np.array([units.NM_PER_UNIT[servo.model] for servo in addressed])
        self._nm_per_ma = nm_per_unit / MILLIAMPERE_PER_UNIT
        self._names: tuple[str, ...] = ()
        self._order = np.zeros(len(JOINTS), dtype=np.int64)
        self.forget()

    def forget(self) -> None:
        """A new connection. `round_trip_s` is how long the last reading took, `last` what it is."""
        self.last: Sample | None = None
        self.round_trip_s = math.nan
        self._waits = True

    def check_clock(self) -> None:
        """PortMissing if the driver's stamps are from another clock than this node's."""
        sample = self._driver.newer(None, 0.0)
        if sample is not None and abs(age_s := self._age_s(sample)) > CLOCKS_APART_S:
            raise PortMissing(
                f"{self._driver.where}: its joint_states are {age_s:.1f} s old by this node's "
                "clock; give both the same use_sim_time, and machines the same time (chrony)"
            )

    def read(self) -> BusState:
        """The newest reading that was not given before. PortLost, WrongModel."""
        began_s = time.monotonic()
        sample = self._driver.newer(self.last, self._patience_s if self._waits else 0.0)
        self.round_trip_s = time.monotonic() - began_s
        self._waits = sample is not None
        if sample is None:
            return self._nothing()
        self.last = sample
        if abs(self._age_s(sample)) > 2 * self._patience_s:
            return self._nothing()
        return self._state(sample)

    def _age_s(self, sample: Sample) -> float:
        """By its own stamp and this node's clock."""
        return (self._clock.now().nanoseconds - stamp_ns(sample.message.header.stamp)) * 1e-9

    def _nothing(self) -> BusState:
        self._looks.counted(self._arm.addressed, False)
        unknown = np.full(len(JOINTS), np.nan)
        return BusState(unknown, unknown.copy(), unknown.copy(), self._ids, self._alert())

    def _state(self, sample: Sample) -> BusState:
        message = sample.message
        if tuple(message.name) != self._names:
            self._learn_order(message.name)
        position, velocity, milliampere = (
            np.array(values, dtype=np.float64)[self._order]
            for values in (message.position, message.velocity, message.effort)
        )
        failed = failed_joints(position, velocity, milliampere, self._arm.addressed)
        for values in (position, velocity, milliampere):
            values[failed] = np.nan
        self._looks.measured(position, milliampere / 1000)
        for servo, lost in zip(self._arm.addressed, failed.tolist(), strict=True):
            self._looks.counted((servo,), not lost)
        missing = tuple(i for i, lost in zip(self._ids, failed, strict=True) if lost)
        effort = milliampere * self._nm_per_ma
        stamp = stamp_ns(message.header.stamp)
        return BusState(position, velocity, effort, missing, self._alert(), stamp_ns=stamp)

    def _learn_order(self, names: Iterable[str]) -> None:
        found = list(names)
        if absent := [joint for joint in JOINTS if joint not in found]:
            raise WrongModel(
                f"{self._driver.where}: its joint_states tell of {', '.join(found)}, not of "
                f"{', '.join(absent)}; start xs_sdk with the motor_configs of this arm's model "
                f"({self._arm.model})",
                tuple(s.id for s in self._arm.addressed if s.joint in absent),
            )
        self._order = np.array([found.index(joint) for joint in JOINTS])
        self._names = tuple(found)

    def _alert(self) -> tuple[int, ...]:
        return tuple(i for i in self._ids if self._looks.known[i].hardware_error)
