"""What an arm's bridge publishes: joint states, the goals as written, and its status."""

import time
from array import array
from typing import Any

from aloha_interfaces.msg import ArmStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState

from aloha_stack.nodes._arm_driver import ArmDriver, Cycle
from aloha_stack.nodes._conversions import fill_state, joint_state, set_stamp
from aloha_stack.nodes._qos import JOINTS as JOINTS_QOS
from aloha_stack.nodes._qos import STATE
from aloha_stack.robot.joints import JOINTS

STATUS_PERIOD_NS = 100_000_000
STATUS_STEADY_S = 0.5
"""A status goes out at least so often, however slowly ROS time runs: the bridge is alive."""
LOG_QUIET_S = 1.0
"""Reasons that change more often, as they do on a noisy line, are not logged each time."""
FAILED_READ_NS = 15_000_000
"""A reading that failed is told at once, but no more often than every other cycle."""


class ArmReports:
    """The publishers of one bridge; for its cycle's thread."""

    def __init__(self, node: Node, driver: ArmDriver) -> None:
        self.arm, self.driver, self.control = driver.arm, driver, driver.controller
        self._log = node.get_logger()
        self._states = node.create_publisher(JointState, "joint_states", JOINTS_QOS)
        self._status = node.create_publisher(ArmStatus, "status", STATE)
        self._executed = None
        if not self.arm.is_leader:
            self._executed = node.create_publisher(JointState, "command_executed", JOINTS_QOS)
        self._state_message, self._executed_message = joint_state(), joint_state(JOINTS)
        self.overruns = 0
        self._shown: tuple[Any, ...] = ()
        self._logged: tuple[Any, ...] = ()
        self._logged_s = 0.0
        self._shown_failed = 0
        self._shown_ns, self._shown_s = 0, 0.0

    def cycle(self, cycle: Cycle, read_ns: int, written_ns: int) -> None:
        """Joint states of a complete reading; the goals, if any went to the wire."""
        if cycle.written is not None and self._executed is not None:
            message = self._executed_message
            set_stamp(message.header.stamp, written_ns)
            message.position = array("d", cycle.written.tolist())
            self._executed.publish(message)
        if cycle.state is not None:
            state, message = cycle.state, self._state_message
            set_stamp(message.header.stamp, state.stamp_ns or read_ns)
            fill_state(message, state.position, state.velocity, state.effort, self.arm.gripper)
            self._states.publish(message)

    def status(self, now_ns: int) -> None:
        """At 10 Hz, and at once when something has changed, or a reading has failed."""
        control, steady_s = self.control, time.monotonic()
        shown = (control.mode, control.reason, control.torque)
        failed = control.counters.failed_reads
        period_ns = STATUS_PERIOD_NS if failed == self._shown_failed else FAILED_READ_NS
        recent = 0 <= now_ns - self._shown_ns < period_ns
        if shown == self._shown and recent and not self.overdue(steady_s):
            return
        self._log_change(steady_s)
        self._shown, self._shown_ns, self._shown_s = shown, now_ns, steady_s
        self._shown_failed = failed
        counters = control.counters
        message = ArmStatus(
            arm=self.arm.name,
            mode=int(control.mode),
            reason=control.reason,
            torque=control.torque,
            read_age=self.driver.health.read_age_s(now_ns * 1e-9),
            cycles=counters.cycles,
            overruns=self.overruns,
            failed_reads=failed,
            rejected_commands=counters.rejected_commands,
            clamped_commands=counters.clamped_commands,
        )
        set_stamp(message.header.stamp, now_ns)
        self._status.publish(message)

    def _log_change(self, steady_s: float) -> None:
        """A new mode at once; a new reason unless the last one is but a moment old."""
        control = self.control
        now, before = (control.mode, control.reason), self._logged
        if not before:
            self._logged = now
        same_mode = before[:1] == now[:1]
        if now == self._logged or (same_mode and steady_s - self._logged_s < LOG_QUIET_S):
            return
        self._logged, self._logged_s = now, steady_s
        words = f"{self.arm.name}: {control.mode.name} {control.reason}".rstrip()
        if control.troubled:  # two calls: rclpy keeps one severity for each place in the code
            self._log.warning(words)
        else:
            self._log.info(words)

    def overdue(self, steady_s: float) -> bool:
        """Whether no status has gone out for a while of steady time."""
        return steady_s - self._shown_s > STATUS_STEADY_S
