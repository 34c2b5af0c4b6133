"""Writes one episode: serialised messages straight into MCAP, beside a rosbag2 metadata file.

Nothing is decoded or compressed: images are JPEG already, and two cores have better things to do.
"""

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import episode_path, next_episode, sync_folder
from aloha_stack.episodes.live_columns import LiveColumns
from aloha_stack.episodes.mcap_output import McapOutput, Syncing
from aloha_stack.episodes.mcap_records import CHUNK_HEAD_BYTES, OpenChunk
from aloha_stack.episodes.mcap_topics import described
from aloha_stack.episodes.metadata import (
    BAG_NOTE,
    START_NOTE,
    EpisodeInfo,
    Tally,
    Topic,
    bag_information,
    bag_note,
    write_metadata,
)

CHUNK_BYTES = 4 << 20
"""A chunk is closed at this size or at the next flush, whichever comes first."""

FLUSH_S = 0.5
"""How often what came is handed to the operating system: what the end of the process may cost."""


class EpisodeWriter:
    """An episode in the making, in a folder of its own. Not for several threads at once.

    From the first moment the folder holds a metadata file with the outcome "recording"; messages
    are flushed every `flush_interval_s` of steady time, so that the end of the process, however
    abrupt, costs at most the last interval. A thread beside forces them to the disk every second:
    a loss of power costs little more, and little is left to be done in `finish`. What the quality
    gate and the alignment want to know is kept in a file beside (`columns_file`).
    """

    def __init__(
        self,
        directory: Path,
        topics: Sequence[Topic],
        info: EpisodeInfo,
        flush_interval_s: float = FLUSH_S,
        chunk_bytes: int = CHUNK_BYTES,
        number: int | None = None,
    ) -> None:
        """Makes the next `episode_000000` in `directory`, which has to exist, or that of `number`,
        which must not exist. Raises OSError."""
        if number is None:
            self.path = next_episode(directory)
        else:
            self.path = episode_path(directory, number)
            self.path.mkdir()
        self.info = info
        self._topics = tuple(topics)
        self._flush_interval_s, self._chunk_bytes = flush_interval_s, chunk_bytes
        self._file_name = f"{self.path.name}_0.mcap"
        self._chunk = OpenChunk()
        self._flushed_s = time.monotonic()
        schemas, channels = described(self._topics)
        self._channels = {channel.topic: channel.id for channel in channels}
        with contextlib.ExitStack() as undo:  # nothing is recorded if this fails: nothing is left
            undo.callback(shutil.rmtree, self.path, ignore_errors=True)
            self._mcap = McapOutput.create(self.path / self._file_name)
            undo.callback(self._mcap.close)
            self._mcap.describe(schemas, channels)
            self._mcap.add_metadata(START_NOTE, info.as_custom_data())
            self._write_metadata()
            sync_folder(directory)
            undo.pop_all()
        self._columns = LiveColumns(self.path / self._file_name, self._topics)
        self._syncing = Syncing(self._mcap)

    @property
    def tally(self) -> Tally:
        """What has been written up to now."""
        written, coming = self._mcap.contents, self._chunk
        counts = {
            topic: written.counts.get(channel, 0) + coming.counts.get(channel, 0)
            for topic, channel in self._channels.items()
        }
        first = [part.first_ns for part in (written, coming) if part.first_ns is not None]
        if not first:
            return Tally(counts)
        return Tally(counts, min(first), max(written.last_ns, coming.last_ns))

    @property
    def closed(self) -> bool:
        """Whether the episode was finished or discarded."""
        return self._mcap.closed

    def write(
        self, topic: str, data: bytes, log_ns: int, publish_ns: int, sequence: int = 0
    ) -> None:
        """Adds one serialised message; flushes when it is time. Raises OSError (disk full)."""
        if self.closed:
            raise EpisodeError(f"{self.path} is closed: a message of {topic} came too late")
        channel = self._channels.get(topic)
        if channel is None:
            raise EpisodeError(
                f"topic {topic} is not of this episode; it has {', '.join(self._channels)}"
            )
        # Times in MCAP are unsigned, and so is its 32-bit sequence number.
        log_ns, publish_ns = max(log_ns, 0), max(publish_ns, 0)
        self._chunk.add(channel, sequence & 0xFFFFFFFF, log_ns, publish_ns, data)
        # Nothing comes between this chunk and where the file ends now.
        chunk_at = self._mcap.position + CHUNK_HEAD_BYTES
        offset = chunk_at + len(self._chunk.records) - len(data)
        self._columns.take(topic, log_ns, publish_ns, offset, data)
        if len(self._chunk.records) >= self._chunk_bytes:
            self._close_chunk()
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Flushes if the interval has passed; call it now and then while nothing arrives."""
        if time.monotonic() - self._flushed_s >= self._flush_interval_s:
            self.flush()

    def flush(self) -> None:
        """Closes the chunk and hands everything to the operating system. Raises OSError."""
        self._flushed_s = time.monotonic()
        self._close_chunk()
        if self._syncing.error is not None:
            raise self._syncing.error

    def _close_chunk(self) -> None:
        if self._chunk.counts:
            self._mcap.add_chunk(self._chunk)
            self._chunk = OpenChunk()

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
        """Closes the episode as kept; returns its folder.

        Raises OSError (disk full); it is closed then, too, with as much as found room.
        """
        lost, problem = dict(lost or {}), None
        try:
            self.flush()
        except OSError as error:
            problem = error
            for topic, channel in self._channels.items():
                if channel in self._chunk.counts:
                    lost[topic] = lost.get(topic, 0) + self._chunk.counts[channel]
            self._chunk = OpenChunk()
            self._columns.discard()
        self.info = replace(
            self.info,
            outcome=outcome,
            labels=tuple(dict.fromkeys((*self.info.labels, *labels))),
            lost=lost,
            notes={**self.info.notes, **(notes or {})},
        )
        self._syncing.end()
        try:
            self._mcap.add_metadata(BAG_NOTE, bag_note(self._information()))
            self._mcap.finish()
            self._columns.finish()
            self._write_metadata()
        except OSError as error:
            problem = problem or error
            self._mcap.close()
            self._columns.discard()
            with contextlib.suppress(OSError):  # it says at least how it ended
                self._write_metadata()
        if problem is not None:
            raise problem
        return self.path

    def discard(self) -> None:
        """Removes the episode and its folder."""
        self._syncing.end()
        self._mcap.close()
        self._columns.discard()
        shutil.rmtree(self.path)

    def _information(self) -> dict[str, Any]:
        return bag_information(self._topics, self.tally, self._file_name, self.info)

    def _write_metadata(self) -> None:
        write_metadata(self.path, self._information())
