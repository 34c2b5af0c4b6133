"""Everything of an episode but the pictures themselves, from one pass over its files."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mcap.records import Schema

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.joint_columns import JointColumns, JointStream
from aloha_stack.episodes.mcap_walk import HEAD_BYTES, Found, McapWalk
from aloha_stack.episodes.picture_table import IMAGE_TYPES, PictureColumns, PictureTable

JOINT_STATE = "sensor_msgs/msg/JointState"
ARM_STATUS = "aloha_interfaces/msg/ArmStatus"
TASK_STATE = "aloha_interfaces/msg/TaskState"
SAFETY_STATE = "aloha_interfaces/msg/SafetyState"
PLAYER_STATE = "aloha_interfaces/msg/PlayerState"

Progress = Callable[[int, int], None]
"""Told the bytes of the files that are done, and their total."""

_TELL_EVERY = 64 << 20
_LATEST_NS = 2**63 - 1


@dataclass(frozen=True)
class Contents:
    """What was recorded, by topic. `stamps_ns` has every topic that a message came of."""

    types: Mapping[str, str]  # of the topics that the files describe
    stamps_ns: Mapping[str, np.ndarray]  # (n,) int64, in the order of the file
    delay_ns: Mapping[str, np.ndarray]  # (n,) int64, of joints and pictures: log time - stamp
    joints: Mapping[str, JointStream]
    pictures: Mapping[str, PictureTable]
    messages: Mapping[str, tuple[bytes, ...]]  # of the four types above, serialised
    schemas: Mapping[str, Schema]  # by type
    closed: bool


@dataclass
class _Topic:
    """One topic in the making."""

    name: str
    type: str
    stamps: array = field(default_factory=lambda: array("q"))
    logged: array = field(default_factory=lambda: array("q"))
    joints: JointColumns | None = None
    pictures: PictureColumns | None = None
    messages: list[bytes] | None = None


def read_contents(
    files: Sequence[Path], verify: bool = False, progress: Progress | None = None
) -> Contents:
    """Reads the MCAP `files` front to back. Raises EpisodeError for what is foreign or damaged.

    `verify` compares the checksums of all bytes, which reads the pictures too.
    """
    topics: dict[str, _Topic] = {}
    schemas: dict[str, Schema] = {}
    total = sum(path.stat().st_size for path in files if path.exists())
    done, closed = 0, True
    for path in files:
        walk = McapWalk(path)
        by_channel: dict[int, _Topic] = {}
        told = 0
        with _naming(path):
            for found in walk.messages(verify):
                topic = by_channel.get(found.channel)
                if topic is None:
                    topic = by_channel[found.channel] = _topic_of(walk, found.channel, topics)
                _take(topic, path, found)
                if progress is not None and found.offset - told > _TELL_EVERY:
                    told = found.offset
                    progress(done + told, total)
        schemas |= {schema.name: schema for schema in walk.schemas.values()}
        closed = closed and walk.closed is True
        done += path.stat().st_size
        for channel in walk.channels:
            _topic_of(walk, channel, topics)
    with _naming(files[-1] if files else Path()):
        joints = {topic.name: topic.joints.stream() for topic in topics.values() if topic.joints}
    pictures = {t.name: t.pictures.table() for t in topics.values() if t.pictures}
    return Contents(
        {topic.name: topic.type for topic in topics.values()},
        {
            **{topic.name: np.array(topic.stamps, np.int64) for topic in topics.values()},
            **{name: stream.stamps_ns for name, stream in joints.items()},
            **{name: table.stamps_ns for name, table in pictures.items()},
        },
        {topic.name: _delays(topic, joints) for topic in topics.values() if topic.logged},
        joints,
        pictures,
        {t.name: tuple(t.messages) for t in topics.values() if t.messages is not None},
        schemas,
        closed,
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Lets errors about messages say which file they are in."""
    try:
        yield
    except EpisodeError as error:
        if str(path) in str(error):
            raise
        raise EpisodeError(f"{path}: {error}") from error


def _topic_of(walk: McapWalk, channel_id: int, topics: dict[str, _Topic]) -> _Topic:
    """The topic of a channel; several files, and several channels, may hold parts of one."""
    channel = walk.channels[channel_id]
    schema = walk.schemas.get(channel.schema_id)
    kind = schema.name if schema is not None and channel.message_encoding == "cdr" else ""
    known = topics.get(channel.topic)
    if known is not None:
        if known.type != kind:
            raise EpisodeError(
                f"topic {channel.topic} is of two types, {known.type} and {kind}; one topic has to "
                "keep to its type"
            )
        return known
    topic = topics[channel.topic] = _Topic(channel.topic, kind)
    if kind == JOINT_STATE:
        topic.joints = JointColumns(channel.topic)
    elif kind in IMAGE_TYPES:
        topic.pictures = PictureColumns(channel.topic, kind)
    elif kind in (ARM_STATUS, TASK_STATE, SAFETY_STATE, PLAYER_STATE):
        topic.messages = []
    return topic


def _delays(topic: _Topic, joints: Mapping[str, JointStream]) -> np.ndarray:
    """How long after its stamp each message was received, ns."""
    stamps = topic.pictures.stamps_ns if topic.pictures else joints[topic.name].stamps_ns
    return np.array(topic.logged, np.int64) - stamps


def _take(topic: _Topic, path: Path, found: Found) -> None:
    if topic.pictures is not None or topic.joints is not None:
        topic.logged.append(min(found.log_ns, _LATEST_NS))
    if topic.pictures is not None:
        topic.pictures.add(path, found.offset, found.size, found.head)
        return
    if topic.joints is not None or topic.messages is not None:
        # A cause or a reason may have many words; nobody reads them here.
        if found.size > HEAD_BYTES and topic.type not in (SAFETY_STATE, PLAYER_STATE):
            raise EpisodeError(
                f"a message of {topic.name} has {found.size} bytes; no {topic.type} of a robot "
                f"is longer than {HEAD_BYTES}"
            )
        if topic.joints is not None:
            topic.joints.add(found.head)
            return
        assert topic.messages is not None
        topic.messages.append(found.head)
    topic.stamps.append(min(found.publish_ns, _LATEST_NS))
