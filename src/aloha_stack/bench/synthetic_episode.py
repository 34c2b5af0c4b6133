"""Episodes for benches: the recorder's file with footage in place of cameras, and moving joints."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aloha_stack.episodes import schema
from aloha_stack.episodes.cdr_writing import compressed_image, joint_state
from aloha_stack.episodes.metadata import EpisodeInfo, Topic
from aloha_stack.episodes.reader import COMPRESSED_IMAGE, JOINT_STATE
from aloha_stack.episodes.streams import IMAGE_QOS, JOINT_QOS
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.joints import CAMERAS, FOLLOWERS, JOINTS, LEADERS, STATE_JOINTS

START_NS = 1_700_000_000_000_000_000
TICK_NS = 10_000_000  # joints at 100 Hz, pictures at every second tick


def synthetic_episode(
    directory: Path, pictures: Sequence[bytes], seconds: float, cameras: Sequence[str] = CAMERAS
) -> Path:
    """Records the next episode into `directory`: four arms at 100 Hz and `cameras` at 50 Hz, which
    show `pictures` (JPEGs) in turn, each camera another one."""
    directory.mkdir(parents=True, exist_ok=True)
    states = [f"/{arm}/joint_states" for arm in LEADERS + FOLLOWERS]
    commands = [f"/{arm}/command_executed" for arm in FOLLOWERS]
    images = [f"/{camera}/image_raw/compressed" for camera in cameras]
    topics = [_topic(name, JOINT_STATE) for name in states + commands]
    topics += [_topic(name, COMPRESSED_IMAGE) for name in images]
    info = EpisodeInfo(task="bench", robot="twin")
    writer = EpisodeWriter(directory, topics, info)
    for tick in range(round(seconds * 100)):
        now = START_NS + tick * TICK_NS
        for name in states:
            data = joint_state(now, STATE_JOINTS, _swing(tick, len(STATE_JOINTS)))
            writer.write(name, data, now, now, tick + 1)
        for name in commands:
            writer.write(name, joint_state(now, JOINTS, _swing(tick, 7)), now, now, tick + 1)
        if tick % 2 == 0:
            for number, name in enumerate(images):
                shown = pictures[(tick // 2 + number * 17) % len(pictures)]
                data = compressed_image(now, cameras[number], shown)
                writer.write(name, data, now, now, tick // 2 + 1)
    return writer.finish("success")


def _topic(name: str, kind: str) -> Topic:
    qos = IMAGE_QOS if kind == COMPRESSED_IMAGE else JOINT_QOS
    return Topic(name, kind, schema.definition(kind), schema.type_hash(kind), (qos,))


def _swing(tick: int, joints: int) -> list[float]:
    """Joints that swing slowly, each a little later than the one before it."""
    return [float(value) for value in 0.2 * np.sin(0.02 * tick + np.arange(joints))]
