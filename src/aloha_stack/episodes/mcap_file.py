"""Reads MCAP records front to back, also from a file that its writer did not get to close.

One pass over the file needs no index, so a finished and an interrupted recording are read alike.
"""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, Footer, Header, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk

from aloha_stack.episodes.errors import EpisodeError


@dataclass(frozen=True)
class Record:
    """One message as it was received; times in ns."""

    topic: str
    type: str
    log_ns: int
    publish_ns: int
    sequence: int
    data: bytes
    schema: Schema


class McapFile:
    """The messages of one file. `closed` is known after `records` has run to its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed: bool | None = None
        self.schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}

    def written_by(self) -> str:
        """The software that began the file, in its own words; empty if it cannot be read."""
        try:
            with self.path.open("rb") as file:
                head = next(iter(StreamReader(file).records), None)
        except (OSError, McapError, struct.error, ValueError):
            return ""
        return head.library if isinstance(head, Header) else ""

    def records(self, topics: Collection[str] | None = None) -> Iterator[Record]:
        """All messages (of `topics`) in the order of the file.

        A file that breaks off ends quietly after its last whole chunk, with `closed` False. Raises
        EpisodeError for what is no MCAP file or is damaged before its end.
        """
        self.closed = False
        try:
            size = self.path.stat().st_size
            file = self.path.open("rb")
        except OSError as error:
            raise EpisodeError(
                f"{self.path} cannot be opened: {error.strerror}; the episode needs this file"
            ) from error
        with file:
            reader = StreamReader(file, emit_chunks=True, record_size_limit=max(size, 1))
            records = iter(reader.records)
            begun = False
            while True:
                try:
                    record = next(records, None)
                    if record is None:
                        return
                    content = (
                        breakup_chunk(record, validate_crc=True)
                        if isinstance(record, Chunk)
                        else [record]
                    )
                except (McapError, CRCValidationError, struct.error, ValueError) as error:
                    # A record that was being written when the writer died reaches to the end of
                    # the file; the last eight bytes of a whole one are the end's magic.
                    if begun and file.tell() >= size:
                        return
                    raise self._damaged(file.tell(), size, error) from error
                begun = begun or isinstance(record, Header)
                if isinstance(record, Footer):
                    self.closed = True
                    return
                for item in content:
                    if isinstance(item, Schema):
                        self.schemas[item.id] = item
                    elif isinstance(item, Channel):
                        self.channels[item.id] = item
                    elif isinstance(item, Message):
                        found = self._record(item, topics)
                        if found is not None:
                            yield found

    def _record(self, message: Message, topics: Collection[str] | None) -> Record | None:
        channel = self.channels.get(message.channel_id)
        schema = self.schemas.get(channel.schema_id) if channel else None
        if channel is None or schema is None:
            raise EpisodeError(
                f"{self.path} is damaged: a message of channel {message.channel_id} comes before "
                "the channel and its schema; record the episode again"
            )
        if topics is not None and channel.topic not in topics:
            return None
        return Record(
            channel.topic,
            schema.name,
            message.log_time,
            message.publish_time,
            message.sequence,
            message.data,
            schema,
        )

    def _damaged(self, position: int, size: int, error: Exception) -> EpisodeError:
        if position <= 8:
            return EpisodeError(
                f"{self.path} is not an MCAP file ({size} bytes); expected one that this recorder "
                "or rosbag2 with storage mcap wrote"
            )
        reason = str(error) or type(error).__name__
        return EpisodeError(
            f"{self.path} is damaged near byte {position} of {size}: {reason}; copy it again from "
            "where it was recorded, or record the episode again"
        )
