"""Reads an episode as arrays and pictures, without ROS."""

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from mcap.records import Schema
from mcap_ros2.decoder import DecoderFactory

from aloha_stack.episodes.collector import JOINT_STATE
from aloha_stack.episodes.columns_file import stored_contents
from aloha_stack.episodes.contents import Contents, Progress, read_contents
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.joint_columns import JointStream, empty_stream
from aloha_stack.episodes.mcap_file import McapFile, Record
from aloha_stack.episodes.metadata import EpisodeInfo, pauses, read_metadata
from aloha_stack.episodes.picture_table import COMPRESSED_IMAGE, IMAGE_TYPES
from aloha_stack.robot.joints import CAMERAS

__all__ = ["COMPRESSED_IMAGE", "IMAGE_TYPES", "JOINT_STATE", "Episode", "JointStream"]

CAMERAS_NOTE = "cameras"
"""The note that says which topic is which camera, as JSON."""

STEPS_HZ, STEPS_METHOD = "steps_hz", "steps_method"
"""The notes of an imported episode: the rate of its steps, and how their samples were chosen."""


class Episode:
    """One episode folder. Its files are read once, front to back, when the first data is asked for;
    pictures stay where they are (`frame_index.frame_indexes` says where)."""

    def __init__(self, path: Path | str, recompute: bool = False) -> None:
        """Reads the metadata. `recompute`: trust nothing but the recorded file itself.

        Raises EpisodeError, which names the folder and what is wrong.
        """
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
        self._contents: Contents | None = None
        self._recompute = recompute

    @property
    def topics(self) -> tuple[str, ...]:
        """The recorded topics, whether or not a message came."""
        return tuple(self.types)

    @property
    def camera_topics(self) -> dict[str, str]:
        """Camera name -> image topic: as the recorder noted it, or by the default naming.

        The known cameras come first, in their order. Without a note every image topic is a camera,
        named by the first part of its topic; of several, a compressed one.
        """
        found: dict[str, str] = {}
        note = self.info.notes.get(CAMERAS_NOTE)
        if note is not None:
            try:
                found = {str(name): str(topic) for name, topic in json.loads(note).items()}
            except (ValueError, AttributeError) as error:
                raise EpisodeError(
                    f"{self.path / 'metadata.yaml'}: the note {CAMERAS_NOTE!r} is {note!r}; "
                    "expected a JSON object of camera names and topics"
                ) from error
        else:
            kinds = sorted(self.types.items(), key=lambda item: item[1] != COMPRESSED_IMAGE)
            for topic, kind in kinds:
                if kind in IMAGE_TYPES:
                    found.setdefault(topic.strip("/").split("/")[0], topic)
        order = {camera: index for index, camera in enumerate(CAMERAS)}
        return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))

    @property
    def pauses(self) -> tuple[tuple[int, int | None], ...]:
        """(begin, end) of each pause, ns of ROS time. Raises EpisodeError."""
        try:
            return pauses(self.info)
        except ValueError as error:
            raise EpisodeError(
                f"{self.path / 'metadata.yaml'}: the note about pauses cannot be read: {error}"
            ) from error

    @property
    def steps_hz(self) -> float | None:
        """The rate of all streams of an episode that was imported from steps; else None.

        Raises EpisodeError.
        """
        note = self.info.notes.get(STEPS_HZ)
        if note is None:
            return None
        try:
            rate = float(note)
        except ValueError:
            rate = 0.0
        if not 0.0 < rate < 1e6:
            raise EpisodeError(
                f"{self.path / 'metadata.yaml'}: the note {STEPS_HZ!r} is {note!r}; expected Hz "
                "above 0"
            )
        return rate

    @property
    def closed(self) -> bool:
        """Whether every file has its end: False for a recording that was cut off."""
        return self.contents().closed

    def contents(self, verify: bool = False, progress: Progress | None = None) -> Contents:
        """Everything but the pictures, read once: as it was kept while the file was written, if
        that is of this very file; else, and to `verify` the checksums of all bytes, from the file.
        """
        paths = [file.path for file in self.files]
        if self._contents is None and not verify and not self._recompute and len(paths) == 1:
            self._contents = stored_contents(paths[0])
        if self._contents is None or verify:
            self._contents = read_contents(paths, verify, progress)
        return self._contents

    def records(self, topics: Collection[str] | None = None) -> Iterator[Record]:
        """The messages (of `topics`) as received, in the order of receiving."""
        for file in self.files:
            yield from file.records(topics)

    def decode(self, record: Record) -> Any:
        """The message of a record, with the fields of its definition as attributes."""
        return self.decode_message(record.topic, record.schema, record.data)

    def decode_message(self, topic: str, schema: Schema, data: bytes) -> Any:
        """A serialised message, with the fields of its definition as attributes."""
        decoder = self._decoders.get(schema.name)
        try:
            if decoder is None:
                decoder = DecoderFactory().decoder_for("cdr", schema)
                if decoder is None:
                    raise EpisodeError(
                        f"{self.path}: topic {topic} has a schema of encoding "
                        f"{schema.encoding!r}; expected ros2msg"
                    )
                self._decoders[schema.name] = decoder
            return decoder(data)
        except (ValueError, IndexError, RuntimeError, NotImplementedError) as error:
            raise EpisodeError(
                f"{self.path}: a message of {topic} does not fit its type {schema.name}: {error}"
            ) from error

    def joints(self, *topics: str) -> dict[str, JointStream]:
        """The JointState streams of `topics`. Raises EpisodeError if one is not recorded."""
        for topic in topics:
            if self.types.get(topic) != JOINT_STATE:
                of_type = [name for name, kind in self.types.items() if kind == JOINT_STATE]
                raise EpisodeError(
                    f"{self.path} has no {JOINT_STATE} topic {topic}; it has "
                    f"{', '.join(of_type) or 'none of that type'}"
                )
        streams = self.contents().joints
        return {topic: streams.get(topic) or empty_stream(topic) for topic in topics}
