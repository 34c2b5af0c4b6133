"""What the operator's tool has heard of the graph, and how long ago."""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from aloha_interfaces.msg import ArmStatus, RecorderState, SafetyState, TeleopState
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._qos import STATE

Message = TypeVar("Message")

SILENT_S = {"arm": 1.5, "teleop": 2.0, "safety": 1.0, "recorder": 1.0, "camera": 3.5}
"""Steady time after which somebody counts as silent. Teleop speaks at 10 Hz of model time, which
may run at a fifth of the wall's; cameras speak once a second."""

CAMERAS = "cameras/"
"""How the names of the cameras' diagnostics begin."""


@dataclass
class Voice(Generic[Message]):
    """The last message of somebody. What is too old is not shown as if it were so still."""

    limit_s: float
    message: Message | None = None
    heard_s: float = -math.inf

    def hear(self, message: Message) -> None:
        """Takes the message; the time is that of its arrival, steady."""
        self.message, self.heard_s = message, time.monotonic()

    @property
    def age_s(self) -> float:
        """Steady time since the last message; infinite if there was none."""
        return time.monotonic() - self.heard_s

    @property
    def now(self) -> Message | None:
        """What it says; None if it says nothing any more."""
        return self.message if self.age_s <= self.limit_s else None

    @property
    def absence(self) -> str:
        """Why there is nothing to show."""
        return "missing" if self.message is None else f"silent for {self.age_s:.0f} s"


@dataclass
class Pace:
    """A counter's growth per second of ROS time, over the last two seconds."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def saw(self, count: int, now_s: float) -> None:
        """Notes the counter at `now_s`. A counter or a time that runs backwards begins anew."""
        if self._seen and (now_s < self._seen[-1][0] or count < self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((now_s, count))
        while now_s - self._seen[0][0] > 2.0:
            self._seen.popleft()

    @property
    def hz(self) -> float:
        """NaN while it is not known."""
        if len(self._seen) < 2:
            return math.nan
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else math.nan


class Known:
    """Subscribes to what arms, teleoperation, safety, recorder and cameras say of themselves."""

    def __init__(self, node: Node, arms: Sequence[str]) -> None:
        self.arms = {arm: Voice[ArmStatus](SILENT_S["arm"]) for arm in arms}
        self.paces = {arm: Pace() for arm in arms}
        self.teleop = Voice[TeleopState](SILENT_S["teleop"])
        self.safety = Voice[SafetyState](SILENT_S["safety"])
        self.recorder = Voice[RecorderState](SILENT_S["recorder"])
        self.cameras: dict[str, Voice[DiagnosticStatus]] = {}
        for arm in arms:
            hear = partial(self._on_arm, arm)
            node.create_subscription(ArmStatus, f"/{arm}/status", hear, STATE)
        node.create_subscription(TeleopState, "/teleop/state", self.teleop.hear, STATE)
        node.create_subscription(SafetyState, "/safety/state", self.safety.hear, STATE)
        node.create_subscription(RecorderState, "/recorder/state", self.recorder.hear, STATE)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_arm(self, arm: str, message: ArmStatus) -> None:
        self.arms[arm].hear(message)
        self.paces[arm].saw(message.cycles, stamp_ns(message.header.stamp) * 1e-9)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(CAMERAS):
                camera = status.name.removeprefix(CAMERAS)
                voice = self.cameras.get(camera) or Voice[DiagnosticStatus](SILENT_S["camera"])
                voice.hear(status)
                self.cameras = {**self.cameras, camera: voice}  # the screen reads it meanwhile
