"""Every node of the launch files, made once, so that its topics and parameters can be looked at.

Nothing is started: no port, camera or checkpoint is opened, no thread works, and nobody spins.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import rclpy
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage

from aloha_stack.graph import Domain
from aloha_stack.nodes import replay, twin
from aloha_stack.nodes._node import Ending
from aloha_stack.nodes._policy_inputs import PolicyInputs
from aloha_stack.nodes.arm_bridge import ArmBridge
from aloha_stack.nodes.camera import CameraNode
from aloha_stack.nodes.chunk_player import ChunkPlayer
from aloha_stack.nodes.description import Description
from aloha_stack.nodes.monitor import Monitor
from aloha_stack.nodes.policy import PolicyNode
from aloha_stack.nodes.recorder import Recorder
from aloha_stack.nodes.safety import Safety
from aloha_stack.nodes.teleop import Teleop
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import ARMS

HEARD_S = 5.0
"""Steady time within which `description` notices that somebody listens to /tf."""


def _given(**values: Any) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


@contextmanager
def made_nodes() -> Iterator[dict[str, list[Any]]]:
    """The nodes by the name of their executable; of an arm's bridge there are four."""
    with ExitStack() as stack:
        domain = Domain()
        stack.callback(domain.release)
        ports = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {
            "ROS_DOMAIN_ID": str(domain.number),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ALOHA_PORTS": ports,
        }
        stack.enter_context(patch.dict(os.environ, environment))
        stack.enter_context(patch.object(Ending, "start_thread", _idle_thread))
        rclpy.init(args=["--ros-args", "--log-level", "fatal"])
        stack.callback(rclpy.try_shutdown)
        found: dict[str, list[Any]] = {}
        for name, makers in _makers().items():
            for make in makers:
                node = make()
                stack.callback(_end, node)
                found.setdefault(name, []).append(node)
        found["recorder"][0].taps.open()
        _let_policy_listen(found["policy"][0])
        _let_description_listen(found["description"][0])
        yield found


def _makers() -> dict[str, list[Callable[[], Any]]]:
    return {
        "arm_bridge": [partial(_bridge, arm) for arm in ARMS],
        "camera": [CameraNode],
        "safety": [Safety],
        "description": [Description],
        "teleop": [Teleop],
        "recorder": [Recorder],
        "replay": [_replay],
        "policy": [PolicyNode],
        "chunk_player": [ChunkPlayer],
        "twin": [_twin],
        "monitor": [Monitor],
    }


def _bridge(arm: str) -> ArmBridge:
    given = _given(arm=arm, gravity_compensation=True)
    return ArmBridge(namespace=arm, parameter_overrides=given)


def _replay() -> replay.Replay:
    """Of an episode that has no motion: what it would play is not looked at here."""
    with (
        patch.object(replay, "Episode", lambda folder: SimpleNamespace(closed=True, path=folder)),
        patch.object(replay, "executed_paths", lambda episode, arms: {}),
    ):
        return replay.Replay(parameter_overrides=_given(episode="none"))


def _twin() -> twin.TwinNode:
    """Of a world in which nothing happens."""
    with patch.object(twin, "Simulation", MagicMock()):
        return twin.TwinNode()


def _idle_thread(_node: Ending, _work: Callable[[], None], name: str) -> threading.Thread:
    """In place of a thread that does the work of a node."""
    thread = threading.Thread(target=lambda: None, name=name)
    thread.start()
    return thread


def _let_policy_listen(node: PolicyNode) -> None:
    """As with a checkpoint that needs every camera."""
    robot = load_robot("aloha")
    spec: Any = SimpleNamespace(cameras=tuple(robot.cameras))
    PolicyInputs(node, robot, spec, 0.2, lambda: None)


def _let_description_listen(node: Description) -> None:
    """As while RViz shows its frames."""
    ear = rclpy.create_node("rviz")
    ear.create_subscription(TFMessage, "/tf", lambda _: None, 1)
    until_s = time.monotonic() + HEARD_S
    while not any(one.topic_name.endswith("joint_states") for one in node.subscriptions):
        if time.monotonic() > until_s:
            raise RuntimeError("description did not notice who listens to /tf")
        time.sleep(0.01)
        node.looked()


def _end(node: Any) -> None:
    node.close()
    node.time.close()
    node.destroy_node()
