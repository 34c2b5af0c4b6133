"""What is heard of arms: joint states and status, as the control of one tick looks at them."""

import time
from collections.abc import Sequence
from functools import partial

import numpy as np
from aloha_interfaces.msg import ArmStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.teleop import ArmView
from aloha_stack.nodes._conversions import read_mode, stamp_ns
from aloha_stack.nodes._qos import JOINTS as JOINTS_QOS
from aloha_stack.nodes._qos import STATE
from aloha_stack.robot.joints import JOINTS

AHEAD_NS = 100_000_000
"""A stamp that lies farther ahead is of another clock, or one that was set: its age is unknown."""


class ArmViews:
    """Listens to `arms` for `node`."""

    def __init__(self, node: Node, arms: Sequence[str]) -> None:
        self._node, self._arms = node, tuple(arms)
        self._positions: dict[str, tuple[int, np.ndarray]] = {}
        self._modes: dict[str, tuple[Mode, float]] = {}  # and when it was heard, steady s
        for arm in arms:
            hear, status = partial(self._on_joints, arm), partial(self._on_status, arm)
            node.create_subscription(JointState, f"/{arm}/joint_states", hear, JOINTS_QOS)
            node.create_subscription(ArmStatus, f"/{arm}/status", status, STATE)

    def at(self, now_ns: int) -> dict[str, ArmView]:
        """A view of each arm."""
        return {arm: self._view(arm, now_ns) for arm in self._arms}

    def forget_positions(self) -> None:
        """For a clock that has gone back: their stamps lie in the future now."""
        self._positions.clear()

    def _view(self, arm: str, now_ns: int) -> ArmView:
        mode, heard_s = self._modes.get(arm, (None, -float("inf")))
        silent_s = time.monotonic() - heard_s
        known = self._positions.get(arm)
        if known is None:
            return ArmView(mode=mode, status_age_s=silent_s)
        stamp, position = known
        age_s = max(0, now_ns - stamp) * 1e-9 if stamp - now_ns <= AHEAD_NS else float("inf")
        return ArmView(position, age_s, mode, silent_s)

    def _on_joints(self, arm: str, message: JointState) -> None:
        if tuple(message.name[: len(JOINTS)]) != JOINTS or len(message.position) < len(JOINTS):
            self._node.get_logger().error(
                f"{arm}/joint_states has joints {list(message.name)}; expected {list(JOINTS)}",
                throttle_duration_sec=5.0,
            )
            return
        position = np.array(message.position[: len(JOINTS)])
        if np.isfinite(position).all():
            self._positions[arm] = (stamp_ns(message.header.stamp), position)

    def _on_status(self, arm: str, message: ArmStatus) -> None:
        self._modes[arm] = (read_mode(message.mode), time.monotonic())
