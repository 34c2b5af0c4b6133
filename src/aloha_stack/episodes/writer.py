"""Writes one episode: serialised messages straight into MCAP, beside a rosbag2 metadata file.

Nothing is decoded or compressed: images are JPEG already, and two cores have better things to do.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from mcap.writer import CompressionType, Writer

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import next_episode
from aloha_stack.episodes.metadata import (
    EpisodeInfo,
    Tally,
    Topic,
    bag_information,
    write_metadata,
)
from aloha_stack.episodes.qos import to_yaml

CHUNK_BYTES = 4 << 20
"""A chunk is closed at this size or at the next flush, whichever comes first."""


class EpisodeWriter:
    """An episode in the making, in a folder of its own. Not for several threads at once.

    From the first moment the folder holds a metadata file with the outcome "recording"; messages
    are flushed every `flush_interval_s` of steady time, so that the end of the process, however
    abrupt, costs at most the last interval. (The machine's loss of power may cost more: the file
    is not forced to the disk before `finish`.)
    """

    def __init__(
        self,
        directory: Path,
        topics: Sequence[Topic],
        info: EpisodeInfo,
        flush_interval_s: float = 1.0,
    ) -> None:
        """Makes the next `episode_000000` in `directory`, which has to exist. Raises OSError."""
        self.path = next_episode(directory)
        self.info = info
        self._topics = tuple(topics)
        self._flush_interval_s = flush_interval_s
        self._counts = {topic.name: 0 for topic in topics}
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._file_name = f"{self.path.name}_0.mcap"
        self._file = (self.path / self._file_name).open("wb")
        self._mcap = Writer(self._file, CHUNK_BYTES, CompressionType.NONE)
        self._mcap.start(profile="ros2", library="aloha_stack")
        self._channels = self._register()
        self._flushed_s = time.monotonic()
        self._file.flush()
        self._write_metadata()

    def _register(self) -> dict[str, int]:
        schemas: dict[str, int] = {}
        channels: dict[str, int] = {}
        for topic in self._topics:
            if topic.type not in schemas:
                schemas[topic.type] = self._mcap.register_schema(
                    topic.type, "ros2msg", topic.definition.encode()
                )
            channels[topic.name] = self._mcap.register_channel(
                topic.name,
                "cdr",
                schemas[topic.type],
                {"offered_qos_profiles": to_yaml(topic.qos), "topic_type_hash": topic.type_hash},
            )
        return channels

    @property
    def tally(self) -> Tally:
        """What has been written up to now."""
        return Tally(dict(self._counts), self._first_ns, self._last_ns)

    @property
    def closed(self) -> bool:
        """Whether the episode was finished or discarded."""
        return self._file.closed

    def write(
        self, topic: str, data: bytes, log_ns: int, publish_ns: int, sequence: int = 0
    ) -> None:
        """Adds one serialised message; flushes when it is time. Raises OSError (disk full)."""
        if self.closed:
            raise EpisodeError(f"{self.path} is closed: a message of {topic} came too late")
        if topic not in self._channels:
            raise EpisodeError(
                f"topic {topic} is not of this episode; it has {', '.join(self._channels)}"
            )
        # Times in MCAP are unsigned, and so is its 32-bit sequence number.
        self._mcap.add_message(
            self._channels[topic], max(log_ns, 0), data, max(publish_ns, 0), sequence & 0xFFFFFFFF
        )
        self._counts[topic] += 1
        self._first_ns = log_ns if self._first_ns is None else min(self._first_ns, log_ns)
        self._last_ns = log_ns if self._last_ns is None else max(self._last_ns, log_ns)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Flushes if the interval has passed; call it now and then while nothing arrives."""
        if time.monotonic() - self._flushed_s >= self._flush_interval_s:
            self.flush()

    def flush(self) -> None:
        """Closes the chunk and hands everything to the operating system."""
        self._mcap.flush()
        self._flushed_s = time.monotonic()

    def annotate(self, notes: Mapping[str, str]) -> None:
        """Adds notes, on the disk at once so that a crash keeps them. Raises OSError."""
        self.info = replace(self.info, notes={**self.info.notes, **notes})
        self._write_metadata()

    def finish(
        self,
        outcome: str,
        labels: Sequence[str] = (),
        lost: Mapping[str, int] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> Path:
        """Closes the episode as kept; returns its folder. Raises OSError (disk full)."""
        self.info = replace(
            self.info,
            outcome=outcome,
            labels=tuple(dict.fromkeys((*self.info.labels, *labels))),
            lost=dict(lost or {}),
            notes={**self.info.notes, **(notes or {})},
        )
        information = bag_information(self._topics, self.tally, self._file_name, self.info)
        try:
            self._mcap.flush()
            # rosbag2 keeps a copy of its metadata inside the file, too.
            text = yaml.safe_dump(information, sort_keys=False)
            self._mcap.add_metadata("rosbag2", {"serialized_metadata": text})
            self._mcap.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError:
            with contextlib.suppress(
                OSError
            ):  # what was flushed before stays, and says its outcome
                self._file.close()
            with contextlib.suppress(OSError):
                self._write_metadata()
            raise
        self._write_metadata()
        return self.path

    def discard(self) -> None:
        """Removes the episode and its folder."""
        with contextlib.suppress(OSError):  # a full disk must not keep us from making room on it
            self._file.close()
        shutil.rmtree(self.path)

    def _write_metadata(self) -> None:
        write_metadata(
            self.path, bag_information(self._topics, self.tally, self._file_name, self.info)
        )
