"""What the records in a chunk of an MCAP file hold, as far as they are whole."""

import struct
from dataclasses import dataclass, field
from io import BytesIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, Schema

from aloha_stack.episodes.mcap_records import MESSAGE, RECORD, Contents, OpenChunk, chunk_index

_PRIVATE = 0x80
"""Opcodes from here on are left to applications (https://mcap.dev/spec)."""

UNREADABLE = (McapError, struct.error, UnicodeDecodeError)
"""What the parsing of a record that is none may raise."""


class NotDescribed(McapError):
    """A channel or message refers to something that the file has not described."""


@dataclass
class Walked:
    """The whole records at the beginning of some bytes: `read` of them.

    `foreign` says that they end at something that does not belong in a chunk, rather than in the
    middle of a record.
    """

    chunk: OpenChunk
    contents: Contents
    read: int = 0
    foreign: bool = False


@dataclass
class WholeChunk:
    """A chunk that has all its bytes, while the message indexes behind it are read."""

    chunk: OpenChunk
    start: int
    length: int
    compression: str
    compressed: int
    size: int
    end: int  # of the last of its indexes
    offsets: dict[int, int] = field(default_factory=dict)

    @property
    def indexed(self) -> bool:
        """Whether the index of every channel was found."""
        return set(self.offsets) == set(self.chunk.counts)

    def entry(self) -> ChunkIndex:
        """What the end of the file says of it."""
        after = self.start + self.length
        return chunk_index(
            self.chunk,
            self.start,
            self.size,
            self.offsets,
            self.end - after,
            self.compression,
            self.compressed,
        )


def walk(records: bytes | memoryview, known: Contents) -> Walked:
    """Goes through the records of a chunk; `known` is what was described before, and stays."""
    contents = Contents(dict(known.schemas), dict(known.channels))
    walked = Walked(OpenChunk(), contents)
    end, position = len(records), 0
    try:
        while position + RECORD.size <= end:
            opcode, length = RECORD.unpack_from(records, position)
            after = position + RECORD.size + length
            if opcode not in (Opcode.MESSAGE, Opcode.SCHEMA, Opcode.CHANNEL) and opcode < _PRIVATE:
                walked.foreign = opcode != 0
                break
            if after > end:
                break
            if opcode == Opcode.MESSAGE:
                channel, _, log_ns, _ = MESSAGE.unpack_from(records, position + RECORD.size)
                if channel not in contents.channels:
                    raise NotDescribed
                walked.chunk.note(channel, log_ns, position)
            else:
                describe(contents, opcode, bytes(records[position + RECORD.size : after]))
            position = walked.read = after
    except UNREADABLE:
        walked.foreign = True
    return walked


def describe(contents: Contents, opcode: int, body: bytes) -> None:
    """Takes in a schema or a channel, if it is one. Raises one of UNREADABLE."""
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(stream(body))
        contents.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(stream(body))
        if channel.schema_id and channel.schema_id not in contents.schemas:
            raise NotDescribed
        contents.channels[channel.id] = channel


def stream(body: bytes) -> ReadDataStream:
    """For the records' own parsers."""
    return ReadDataStream(BytesIO(body))
