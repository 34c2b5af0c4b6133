"""All streams of a robot at their rates, out of one thread: for benches and tests of the recorder.

Values are a slow motion; what matters is who publishes how much, how often.
"""

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, JointState

from aloha_stack.episodes.streams import Stream
from aloha_stack.nodes import _qos
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._messages import interface_class
from aloha_stack.robot.joints import JOINTS, STATE_JOINTS

TICK_S = 0.01
EVERY = {
    "sensor_msgs/msg/JointState": (1, _qos.JOINTS),
    "aloha_interfaces/msg/ArmStatus": (10, _qos.STATE),
    "aloha_interfaces/msg/TaskState": (2, _qos.JOINTS),
    "aloha_interfaces/msg/TeleopState": (10, _qos.STATE),
    "aloha_interfaces/msg/PlayerState": (2, _qos.JOINTS),
    "aloha_interfaces/msg/SafetyState": (5, _qos.STATE),
    "sensor_msgs/msg/CompressedImage": (2, _qos.IMAGES),
    "sensor_msgs/msg/CameraInfo": (2, _qos.IMAGES),
}
"""In how many ticks of 1/100 s a message of a type is due, and how it is offered."""

Sent = Callable[[str, int, int], None]
"""Told topic and sequence number of each message, and when (ns) it was handed over."""


class SyntheticRobot:
    """Publishes `streams` from its making until close(). `pictures` are a folder of JPEG files."""

    def __init__(
        self, node: Node, streams: Sequence[Stream], pictures: Path | None, sent: Sent | None
    ) -> None:
        self._pictures = _loaded(pictures)
        self._sent = sent
        self._outlets = [_Outlet(node, stream) for stream in streams]
        self._ending = threading.Event()

    def run(self) -> None:
        """The work of a thread: ends after close(). What it is late for it makes up for."""
        tick, begun_s = 0, time.monotonic()
        while not self._ending.is_set():
            late_s = time.monotonic() - begun_s - tick * TICK_S
            if late_s < 0:
                self._ending.wait(-late_s)
            for index, outlet in enumerate(self._outlets):
                # Not all in the same tick: no more do real ones.
                if (tick + index) % outlet.every == 0:
                    self._publish(outlet)
            tick += 1

    def close(self) -> None:
        """Ends run()."""
        self._ending.set()

    def _publish(self, outlet: "_Outlet") -> None:
        outlet.sent += 1
        message, now_ns = outlet.message, time.time_ns()
        set_stamp(message.header.stamp, now_ns)
        if isinstance(message, CompressedImage):
            message.format = "rgb8; jpeg compressed bgr8"
            message.data = self._pictures[outlet.sent % len(self._pictures)]
        elif isinstance(message, JointState):
            names = JOINTS if outlet.name.endswith("/command_executed") else STATE_JOINTS
            swing = 0.1 * np.sin(0.01 * outlet.sent + np.arange(len(names)))
            message.name, message.position = list(names), array("d", swing)
            message.velocity = message.effort = message.position
        outlet.publisher.publish(message)
        if self._sent is not None:
            self._sent(outlet.name, outlet.sent, time.time_ns())


class _Outlet:
    """One stream: the middleware numbers its messages as `sent` counts them, from 1."""

    def __init__(self, node: Node, stream: Stream) -> None:
        kind = interface_class(stream.type)
        self.name = stream.name
        self.every, qos = EVERY[stream.type]
        self.publisher = node.create_publisher(kind, stream.name, qos)
        self.message = kind()
        self.sent = 0


def _loaded(folder: Path | None) -> "list[array[int]]":
    files = sorted(folder.glob("*.jpg")) if folder is not None else []
    return [array("B", file.read_bytes()) for file in files]
