"""Reads an episode as arrays and pictures, without ROS."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mcap_ros2.decoder import DecoderFactory

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.mcap_file import McapFile, Record
from aloha_stack.episodes.metadata import EpisodeInfo, read_metadata

JOINT_STATE = "sensor_msgs/msg/JointState"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True)
class JointStream:
    """n messages of one JointState topic with k joints; empty fields of the message are NaN."""

    topic: str
    names: tuple[str, ...]
    stamps_ns: np.ndarray  # (n,) int64, acquisition
    position: np.ndarray  # (n, k) rad or m
    velocity: np.ndarray  # (n, k) rad/s or m/s
    effort: np.ndarray  # (n, k), as the driver gave it


@dataclass(frozen=True)
class FrameStream:
    """The n JPEG pictures of one camera."""

    topic: str
    stamps_ns: np.ndarray  # (n,) int64, exposure
    jpeg: tuple[bytes, ...]


class Episode:
    """One episode folder. Every method that returns data reads the file once, front to back."""

    def __init__(self, path: Path | str) -> None:
        """Reads the metadata. Raises EpisodeError, which names the folder and what is wrong."""
        self.path = Path(path)
        if not self.path.is_dir():
            raise EpisodeError(
                f"no episode at {self.path}; give a folder such as DIR/episode_000000"
            )
        self.information = read_metadata(self.path)
        self.files = tuple(
            McapFile(self.path / str(name)) for name in self.information["relative_file_paths"]
        )
        try:
            self.info = EpisodeInfo.from_custom_data(self.information.get("custom_data") or {})
            self.types = {
                str(entry["topic_metadata"]["name"]): str(entry["topic_metadata"]["type"])
                for entry in self.information.get("topics_with_message_count") or []
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EpisodeError(
                f"{self.path / 'metadata.yaml'} is not as this recorder writes it: {error!r}; "
                "episodes of other recorders have to be imported"
            ) from error
        self._decoders: dict[str, Callable[[bytes], Any]] = {}

    @property
    def topics(self) -> tuple[str, ...]:
        """The recorded topics, whether or not a message came."""
        return tuple(self.types)

    @property
    def closed(self) -> bool:
        """Whether every file has its end: False for a recording that was cut off.

        Known once the episode has been read through.
        """
        return all(file.closed is True for file in self.files)

    def records(self, topics: Collection[str] | None = None) -> Iterator[Record]:
        """The messages (of `topics`) as received, in the order of receiving."""
        for file in self.files:
            yield from file.records(topics)

    def decode(self, record: Record) -> Any:
        """The message of a record, with the fields of its definition as attributes."""
        decoder = self._decoders.get(record.type)
        if decoder is None:
            decoder = DecoderFactory().decoder_for("cdr", record.schema)
            if decoder is None:
                raise EpisodeError(
                    f"{self.path}: topic {record.topic} has a schema of encoding "
                    f"{record.schema.encoding!r}; expected ros2msg"
                )
            self._decoders[record.type] = decoder
        try:
            return decoder(record.data)
        except (ValueError, IndexError, RuntimeError, NotImplementedError) as error:
            raise EpisodeError(
                f"{self.path}: a message of {record.topic} does not fit its type {record.type}: "
                f"{error}"
            ) from error

    def joints(self, *topics: str) -> dict[str, JointStream]:
        """The JointState streams of `topics`. Raises EpisodeError if one is not recorded."""
        self._check(topics, JOINT_STATE)
        messages: dict[str, list[Any]] = {topic: [] for topic in topics}
        for record in self.records(topics):
            messages[record.topic].append(self.decode(record))
        return {topic: self._stream(topic, found) for topic, found in messages.items()}

    def frames(self, *topics: str) -> dict[str, FrameStream]:
        """The pictures of `topics`, still as JPEG. Raises EpisodeError if one is not recorded."""
        self._check(topics, COMPRESSED_IMAGE)
        stamps: dict[str, list[int]] = {topic: [] for topic in topics}
        jpegs: dict[str, list[bytes]] = {topic: [] for topic in topics}
        for record in self.records(topics):
            stamps[record.topic].append(record.publish_ns)
            jpegs[record.topic].append(bytes(self.decode(record).data))
        return {
            topic: FrameStream(topic, np.array(stamps[topic], np.int64), tuple(jpegs[topic]))
            for topic in topics
        }

    def _check(self, topics: Collection[str], type_name: str) -> None:
        for topic in topics:
            if self.types.get(topic) != type_name:
                of_type = [name for name, kind in self.types.items() if kind == type_name]
                raise EpisodeError(
                    f"{self.path} has no {type_name} topic {topic}; it has "
                    f"{', '.join(of_type) or 'none of that type'}"
                )

    def _stream(self, topic: str, messages: list[Any]) -> JointStream:
        names = tuple(str(name) for name in messages[0].name) if messages else ()
        for message in messages:
            if tuple(message.name) != names:
                raise EpisodeError(
                    f"{self.path}: {topic} changes its joints from {list(names)} to "
                    f"{list(message.name)}; one stream has to keep to its joints"
                )
        stamps = [m.header.stamp.sec * 1_000_000_000 + m.header.stamp.nanosec for m in messages]
        shape = (len(messages), len(names))
        blank = [np.nan] * len(names)

        def column(field: str) -> np.ndarray:
            rows = [list(getattr(message, field)) or blank for message in messages]
            if any(len(row) != len(names) for row in rows):
                raise EpisodeError(
                    f"{self.path}: {topic} has a {field} of another length than its "
                    f"{len(names)} joints"
                )
            return np.array(rows, dtype=np.float64).reshape(shape)

        return JointStream(
            topic,
            names,
            np.array(stamps, np.int64),
            column("position"),
            column("velocity"),
            column("effort"),
        )
