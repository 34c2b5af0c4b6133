"""What the operator's tool has heard of the graph, and how long ago."""

from collections.abc import Sequence
from functools import partial

from aloha_interfaces.msg import ArmStatus, RecorderState, SafetyState, TeleopState
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._heard import Pace, Voice
from aloha_stack.nodes._qos import STATE

SILENT_S = {"arm": 1.5, "teleop": 2.0, "safety": 1.0, "recorder": 1.0, "camera": 3.5}
"""Steady time after which somebody counts as silent. Teleop speaks at 10 Hz of model time, which
may run at a fifth of the wall's; cameras speak once a second."""

CAMERAS = "cameras/"
"""How the names of the cameras' diagnostics begin."""


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
