"""The camera node: one camera that breaks neither ends the others nor stays lost."""

import threading
import time

import pytest
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from aloha_stack.cameras.source import PASSTHROUGH, Frame, SourceError, SourceHealth
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.nodes.camera import CameraNode
from aloha_stack.robot.joints import CAMERAS
from nodes.arm_rig import ros, spinning, wait_for, with_parameters


class Source:
    """Delivers at 50 Hz while it is open and plugged in."""

    def __init__(self) -> None:
        self.plugged = threading.Event()
        self.plugged.set()
        self.health = SourceHealth(PASSTHROUGH)
        self.is_open, self.count = False, 0

    def open(self) -> None:
        if not self.plugged.is_set():
            raise SourceError("there is no such camera")
        self.is_open = True

    def read(self, timeout_s: float) -> Frame | None:
        time.sleep(0.02)
        if not (self.plugged.is_set() and self.is_open):
            raise SourceError("the camera was pulled out")
        self.count += 1
        return Frame(time.time_ns(), self.count, b"jpeg", 640, 480)

    def close(self) -> None:
        self.is_open = False


def test_a_camera_that_breaks_comes_back_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    heard = dict.fromkeys(CAMERAS, 0)

    def hear(name: str) -> None:
        heard[name] += 1

    with ros():
        node = CameraNode(parameter_overrides=with_parameters(robot="twin"))
        sources = [Source() for _ in node._feeds]
        for feed, source in zip(node._feeds, sources, strict=True):
            feed.source = source
        listener = Node("listener")
        for name in CAMERAS:
            listener.create_subscription(
                CompressedImage, f"/{name}/image_raw/compressed", lambda _, n=name: hear(n), IMAGES
            )
        with spinning(node), spinning(listener):
            assert node.transition("configure")
            assert node.transition("activate")
            try:
                wait_for(lambda: all(heard.values()))
                broken, other = CAMERAS[:2]
                sources[0].plugged.clear()
                wait_for(lambda: not sources[0].is_open)  # it has been tried to be opened again
                before = dict(heard)
                wait_for(lambda: heard[other] > before[other] + 10)
                assert heard[broken] == before[broken]
                assert not node.finished
                sources[0].plugged.set()
                wait_for(lambda: heard[broken] > before[broken])
            finally:
                node.close()
                node.time.close()
        assert not any(source.is_open for source in sources)
        node.destroy_node()
        listener.destroy_node()
