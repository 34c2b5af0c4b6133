"""Real serialised messages, and small episodes made of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, JointState

from aloha_stack.episodes import schema
from aloha_stack.episodes.metadata import EpisodeInfo, Topic
from aloha_stack.episodes.qos import Qos
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.joints import CAMERAS, FOLLOWERS, JOINTS, LEADERS, STATE_JOINTS

START_NS = 1_000_000_000


def topic(name: str, kind: str = "sensor_msgs/msg/JointState", qos: Qos | None = None) -> Topic:
    return Topic(name, kind, schema.definition(kind), schema.type_hash(kind), (qos or Qos(),))


def stamped(message: Any, stamp_ns: int) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


def joint_bytes(stamp_ns: int, positions: Sequence[float], names: Sequence[str] = JOINTS) -> bytes:
    message = JointState(name=list(names), position=[float(value) for value in positions])
    return bytes(serialize_message(stamped(message, stamp_ns)))


def jpeg(shade: int, height: int = 48, width: int = 64) -> bytes:
    picture = np.full((height, width, 3), shade % 256, np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def image_bytes(stamp_ns: int, picture: bytes) -> bytes:
    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.data.frombytes(picture)
    return bytes(serialize_message(stamped(message, stamp_ns)))


def motion(step: int, joints: int) -> list[float]:
    return [0.2 * np.sin(0.05 * step + joint) for joint in range(joints)]


def write_episode(
    directory: Path,
    seconds: float = 1.0,
    info: EpisodeInfo | None = None,
    outcome: str = "success",
    lost: Mapping[str, int] | None = None,
    camera_delay_ns: int = 0,
) -> Path:
    """All four arms at 100 Hz (commands of the followers too) and four cameras at 50 Hz."""
    directory.mkdir(parents=True, exist_ok=True)
    states = [f"/{arm}/joint_states" for arm in LEADERS + FOLLOWERS]
    commands = [f"/{arm}/command_executed" for arm in FOLLOWERS]
    images = [f"/{camera}/image_raw/compressed" for camera in CAMERAS]
    topics = [
        *map(topic, states + commands),
        *(topic(name, "sensor_msgs/msg/CompressedImage", Qos("best_effort")) for name in images),
    ]
    info = info or EpisodeInfo(task="transfer_cube", seed=3, robot="twin", labels=("test",))
    writer = EpisodeWriter(directory, topics, info)
    for step in range(round(seconds * 100)):
        stamp = START_NS + step * 10_000_000
        for name in states:
            data = joint_bytes(stamp, motion(step, 9), STATE_JOINTS)
            writer.write(name, data, stamp + 1_000_000, stamp, step + 1)
        for name in commands:
            writer.write(name, joint_bytes(stamp, motion(step, 7)), stamp, stamp, step + 1)
        if step % 2 == 0:
            at = stamp + camera_delay_ns
            for name in images:
                writer.write(name, image_bytes(at, jpeg(step)), at, at, step // 2 + 1)
    return writer.finish(outcome, lost=lost or {})
