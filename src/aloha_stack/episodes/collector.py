"""Takes in an episode's messages one by one, and keeps columns of what is to be known of them."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.joint_columns import STAMPS, JointColumns
from aloha_stack.episodes.mcap_walk import HEAD_BYTES, Found
from aloha_stack.episodes.picture_table import IMAGE_TYPES, PictureColumns, PictureFormat
from aloha_stack.episodes.said_numbers import KEPT, SaidNumbers

JOINT_STATE = "sensor_msgs/msg/JointState"
LOGGED = "logged_ns"
BLOCK = 1024
"""Messages of a topic that are handed over at once."""

_LATEST_NS = 2**63 - 1

Columns = Mapping[str, np.ndarray]
"""Of one topic: each (n, …), in the order of the file."""


class ColumnStore(Protocol):
    """Where columns go to, block by block."""

    def add(self, topic: str, columns: Columns) -> None:
        """Takes a block of the columns of a topic: always the same, equally long ones."""


class ColumnLists:
    """Keeps them in memory."""

    def __init__(self) -> None:
        self._blocks: dict[str, list[Columns]] = {}

    def add(self, topic: str, columns: Columns) -> None:
        self._blocks.setdefault(topic, []).append(columns)

    def columns(self) -> dict[str, dict[str, np.ndarray]]:
        """Of every topic that anything was added of."""
        return {
            topic: {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
            for topic, blocks in self._blocks.items()
        }


@dataclass(frozen=True)
class TopicFacts:
    """What does not change from message to message."""

    topic: str
    type: str  # "" where it is not known
    joints: tuple[str, ...] = ()
    form: PictureFormat | None = None
    files: tuple[Path, ...] = ()  # of pictures


class Collector:
    """Hands blocks of columns to a store. Small: it holds less than a block of each topic."""

    def __init__(self, store: ColumnStore) -> None:
        self._store = store
        self._topics: dict[str, TopicColumns] = {}

    def topic(self, name: str, kind: str, definition: str) -> "TopicColumns":
        """The topic of that name, to `take` its messages with; several files, and several
        channels, may hold parts of one. Raises EpisodeError if it was of another type."""
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = TopicColumns(name, kind, definition)
        elif topic.type != kind:
            raise EpisodeError(
                f"topic {name} is of two types, {topic.type} and {kind}; one topic has to keep to "
                "its type"
            )
        return topic

    def take(self, topic: "TopicColumns", file: Path, found: Found) -> None:
        """A message. Raises EpisodeError for one that does not fit its type."""
        topic.take(file, found)
        if topic.waiting >= BLOCK:
            self._store.add(topic.name, topic.block())

    def end(self) -> tuple[TopicFacts, ...]:
        """Hands over what is left. Raises EpisodeError as `take` does."""
        for topic in self._topics.values():
            if topic.waiting:
                self._store.add(topic.name, topic.block())
        return tuple(topic.facts() for topic in self._topics.values())


class TopicColumns:
    """One topic: its stamps, and what its type has beside."""

    def __init__(self, name: str, kind: str, definition: str) -> None:
        self.name, self.type = name, kind
        self._stamps = array("q")
        self._logged: array[int] | None = None  # of joints and pictures
        self._said = SaidNumbers(name, kind, definition) if kind in KEPT else None
        self._joints = JointColumns(name) if kind == JOINT_STATE else None
        self._pictures = PictureColumns(name, kind) if kind in IMAGE_TYPES else None
        if kind == JOINT_STATE or kind in IMAGE_TYPES:
            self._logged = array("q")

    @property
    def waiting(self) -> int:
        """Messages that no block was made of yet."""
        return len(self._stamps if self._logged is None else self._logged)

    def take(self, file: Path, found: Found) -> None:
        if self._logged is None:
            self._stamps.append(min(found.publish_ns, _LATEST_NS))
        else:
            self._logged.append(min(found.log_ns, _LATEST_NS))
        if self._pictures is not None:
            self._pictures.add(file, found.offset, found.size, found.head)
        elif self._joints is not None:
            if found.size > HEAD_BYTES:
                raise EpisodeError(
                    f"a message of {self.name} has {found.size} bytes; no {self.type} of a robot "
                    f"is longer than {HEAD_BYTES}"
                )
            self._joints.add(found.head)
        elif self._said is not None:
            self._said.add(found.head[:HEAD_BYTES])

    def block(self) -> Columns:
        """The columns of the messages since the last one."""
        if self._logged is not None:
            logged = np.array(self._logged, np.int64)
            del self._logged[:]
            taken = self._pictures or self._joints
            assert taken is not None
            return {LOGGED: logged, **taken.take()}
        stamps = np.array(self._stamps, np.int64)
        del self._stamps[:]
        return {STAMPS: stamps, **(self._said.take() if self._said is not None else {})}

    def facts(self) -> TopicFacts:
        joints = self._joints.names if self._joints is not None else None
        if self._pictures is None:
            return TopicFacts(self.name, self.type, joints or ())
        files = tuple(sorted(self._pictures.files))
        return TopicFacts(self.name, self.type, form=self._pictures.format, files=files)
