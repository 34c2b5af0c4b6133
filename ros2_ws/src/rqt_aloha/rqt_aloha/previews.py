"""The cameras' previews, heard only while somebody looks, decoded ten times a second at most."""

from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._operator_known import Voice
from aloha_stack.robot.description import Camera, Robot
from rqt_aloha.hearing import LIGHT
from rqt_aloha.pictures import from_jpeg, from_raw, reduction
from rqt_aloha.views import Heard, PictureView

SILENT_S = 1.0
"""Steady time after which a camera shows nothing any more."""


class Previews:
    """For the link's thread; `width` (px) may be set from any other, 0 where nobody looks."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self.width = 0
        self._node, self._cameras = node, dict(robot.cameras)
        self._subscriptions: list[Any] = []
        self._voices = {name: Voice[Any](SILENT_S) for name in self._cameras}
        self._stamps = dict.fromkeys(self._cameras, -1)
        self._shown: dict[str, tuple[int, PictureView]] = {}
        self._count = 0
        self.decoded = 0
        """Pictures so far."""

    def follow(self) -> None:
        """Subscribes if somebody looks, and leaves the cameras alone if nobody does."""
        if self.width and not self._subscriptions:
            self._subscriptions = [self._subscribe(camera) for camera in self._cameras.values()]
        elif not self.width and self._subscriptions:
            for subscription in self._subscriptions:
                self._node.destroy_subscription(subscription)
            self._subscriptions = []
            self._shown = {}
            for voice in self._voices.values():
                voice.message = None

    def views(self) -> dict[str, Heard[PictureView]]:
        """The newest picture of each camera."""
        return {name: self._view(name, voice) for name, voice in self._voices.items()}

    def _subscribe(self, camera: Camera) -> Any:
        kind = CompressedImage if camera.encoded else Image
        hear = partial(self._on_image, camera.name)
        return self._node.create_subscription(kind, camera.preview_topic, hear, LIGHT)

    def _on_image(self, name: str, message: Any) -> None:
        stamp = stamp_ns(message.header.stamp)
        if stamp != self._stamps[name]:  # the same once more is no news
            self._stamps[name] = stamp
            self._voices[name].hear(message)

    def _view(self, name: str, voice: Voice[Any]) -> Heard[PictureView]:
        message = voice.now
        if message is None:
            self._shown.pop(name, None)
            return Heard(None, voice.absence)
        known = self._shown.get(name)
        if known is not None and known[0] == self._stamps[name]:
            return Heard(known[1])
        image = self._decode(self._cameras[name], message)
        if image is None:
            self._shown.pop(name, None)
            return Heard(None, "sends what is no picture")
        self._count += 1
        shown = PictureView(image, self._count)
        self._shown[name] = self._stamps[name], shown
        return Heard(shown)

    def _decode(self, camera: Camera, message: Any) -> Any:
        self.decoded += 1
        factor = reduction(camera.width, self.width or 1)
        if isinstance(message, CompressedImage):
            return from_jpeg(message.data, factor)
        size = message.width, message.height, message.step
        return from_raw(message.data, message.encoding.lower(), *size, factor)
