"""Bytes of MCAP records: a chunk in the making, and what stands at the end of a file.

Record layouts are those of the MCAP specification (https://mcap.dev/spec). The writer and the
repair of what a dead writer left build files out of the same parts. Chunks are not compressed:
pictures are JPEG already, and they can be read at their place in the file.
"""

import os
import struct
import zlib
from dataclasses import dataclass, field

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from aloha_stack.robot.version import software

MAGIC = b"\x89MCAP0\r\n"
RECORD = struct.Struct("<BQ")  # opcode, length of what follows
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time; then the data
CHUNK = struct.Struct("<QQQIIQ")  # first and last time, size, CRC, "" as compression, size
_MESSAGE_RECORD = struct.Struct("<BQHIQQ")
_CHUNK_RECORD = struct.Struct("<BQQQQIIQ")
CHUNK_FRONT = struct.Struct("<QQQII")  # the same, up to the length of the compression's name
INDEX_FRONT = struct.Struct("<HI")  # channel, length of what follows
_FOOTER = struct.Struct("<BQQQI")  # summary, summary offsets, CRC
_DATA_END = struct.Struct("<BQI")  # CRC of the data
_INDEX_RECORD = struct.Struct("<BQHI")
_INDEX_ENTRY = struct.Struct("<QQ")
CHUNK_HEAD_BYTES = _CHUNK_RECORD.size
"""Where the records of an uncompressed chunk begin, from the beginning of the chunk."""


def record_bytes(*records: McapRecord) -> bytes:
    """The bytes of `records`, one after the other."""
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return builder.end()


def file_head() -> bytes:
    """How a file begins."""
    return MAGIC + record_bytes(Header(profile="ros2", library=software()))


@dataclass
class OpenChunk:
    """A chunk in the making: its records, and where in them each channel's messages are."""

    records: bytearray = field(default_factory=bytearray)
    first_ns: int | None = None
    last_ns: int = 0
    counts: dict[int, int] = field(default_factory=dict)  # by channel
    _places: dict[int, bytearray] = field(default_factory=dict)

    def add(self, channel: int, sequence: int, log_ns: int, publish_ns: int, data: bytes) -> None:
        """Adds a message."""
        self.note(channel, log_ns, len(self.records))
        self.records += _MESSAGE_RECORD.pack(
            Opcode.MESSAGE, MESSAGE.size + len(data), channel, sequence, log_ns, publish_ns
        )
        self.records += data

    def note(self, channel: int, log_ns: int, offset: int) -> None:
        """Takes notice of a message that begins at `offset` of the records."""
        self.first_ns = log_ns if self.first_ns is None else min(self.first_ns, log_ns)
        self.last_ns = max(self.last_ns, log_ns)
        self.counts[channel] = self.counts.get(channel, 0) + 1
        places = self._places.get(channel)
        if places is None:
            places = self._places[channel] = bytearray()
        places += _INDEX_ENTRY.pack(log_ns, offset)

    @property
    def messages(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    def head(self) -> bytes:
        """What stands before the records."""
        size = len(self.records)
        crc = zlib.crc32(self.records)
        length = CHUNK.size + size
        first_ns = self.first_ns or 0
        return _CHUNK_RECORD.pack(Opcode.CHUNK, length, first_ns, self.last_ns, size, crc, 0, size)

    def index_of(self, channel: int) -> bytes:
        """(log time, offset) of each message of `channel`, as the index has it."""
        return bytes(self._places.get(channel, b""))

    def index(self, position: int) -> tuple[bytes, dict[int, int]]:
        """What stands behind the chunk, at `position` of the file, and where each channel's part
        begins."""
        parts = bytearray()
        offsets = {}
        for channel, places in self._places.items():
            offsets[channel] = position + len(parts)
            length = INDEX_FRONT.size + len(places)
            parts += _INDEX_RECORD.pack(Opcode.MESSAGE_INDEX, length, channel, len(places))
            parts += places
        return bytes(parts), offsets


@dataclass
class Contents:
    """What a file is known to hold, as its end will say.

    The indexes of the chunks are kept as bytes: an hour of them has some 5 MB.
    """

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)  # messages by channel
    first_ns: int | None = None
    last_ns: int = 0
    attachments: int = 0
    metadata: list[MetadataIndex] = field(default_factory=list)
    chunks: int = 0
    _chunk_indexes: bytearray = field(default_factory=bytearray)

    def add_chunk(self, chunk: OpenChunk, index: ChunkIndex) -> None:
        """A chunk that is in the file; `index` says where."""
        self.chunks += 1
        self._chunk_indexes += record_bytes(index)
        self.count(chunk)

    def take_descriptions(self, other: "Contents") -> None:
        """What `other` knows of schemas and channels."""
        self.schemas |= other.schemas
        self.channels |= other.channels

    def count(self, chunk: OpenChunk) -> None:
        """Counts the messages of `chunk`."""
        if chunk.first_ns is None:
            return
        for channel, count in chunk.counts.items():
            self.counts[channel] = self.counts.get(channel, 0) + count
        self.first_ns = (
            chunk.first_ns if self.first_ns is None else min(self.first_ns, chunk.first_ns)
        )
        self.last_ns = max(self.last_ns, chunk.last_ns)

    @property
    def messages(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    def by_topic(self) -> dict[str, int]:
        """Messages of each topic, also of those without any."""
        found: dict[str, int] = {}
        for number, channel in self.channels.items():
            found[channel.topic] = found.get(channel.topic, 0) + self.counts.get(number, 0)
        return found

    def ending(self, position: int, data_crc: int) -> bytes:
        """What follows the last chunk's index, at `position` of the file, to the end.

        `data_crc` is the checksum of all bytes up to there, 0 where it is not known.
        """
        before = record_bytes(DataEnd(data_section_crc=data_crc))
        start = position + len(before)
        statistics = Statistics(
            attachment_count=self.attachments,
            channel_count=len(self.channels),
            channel_message_counts=dict(self.counts),
            chunk_count=self.chunks,
            message_count=self.messages,
            message_end_time=self.last_ns,
            message_start_time=self.first_ns or 0,
            metadata_count=len(self.metadata),
            schema_count=len(self.schemas),
        )
        groups = (
            (Opcode.SCHEMA, record_bytes(*self.schemas.values())),
            (Opcode.CHANNEL, record_bytes(*self.channels.values())),
            (Opcode.STATISTICS, record_bytes(statistics)),
            (Opcode.CHUNK_INDEX, bytes(self._chunk_indexes)),
            (Opcode.METADATA_INDEX, record_bytes(*self.metadata)),
        )
        summary, offsets = bytearray(), []
        for opcode, group in groups:
            if group:
                offsets.append(SummaryOffset(opcode, start + len(summary), len(group)))
                summary += group
        offsets_start = start + len(summary)
        summary += record_bytes(*offsets)
        footer = record_bytes(Footer(start, offsets_start, summary_crc=0))
        # The checksum covers the summary and the footer up to the checksum itself.
        crc = zlib.crc32(footer[:-4], zlib.crc32(summary))
        return before + bytes(summary) + footer[:-4] + struct.pack("<I", crc) + MAGIC


def chunk_index(
    chunk: OpenChunk,
    start: int,
    size: int,
    offsets: dict[int, int],
    index_bytes: int,
    compression: str = "",
    compressed: int | None = None,
) -> ChunkIndex:
    """The entry of a chunk of `size` bytes of records that begins at byte `start`.

    `offsets` are where its message indexes begin, by channel; they have `index_bytes` together.
    """
    compressed = size if compressed is None else compressed
    return ChunkIndex(
        chunk_length=CHUNK_HEAD_BYTES + len(compression.encode()) + compressed,
        chunk_start_offset=start,
        compression=compression,
        compressed_size=compressed,
        message_end_time=chunk.last_ns,
        message_index_length=index_bytes,
        message_index_offsets=offsets,
        message_start_time=chunk.first_ns or 0,
        uncompressed_size=size,
    )


def metadata_record(name: str, data: dict[str, str], position: int) -> tuple[bytes, MetadataIndex]:
    """A record of words at `position` of the file, and its entry in the summary."""
    record = record_bytes(Metadata(name, data))
    return record, MetadataIndex(position, len(record), name)


def footer_of(descriptor: int) -> Footer | None:
    """The footer of an open file that has its end, and a summary that is as it was written."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _FOOTER.size + len(MAGIC), max(size - _FOOTER.size - len(MAGIC), 0))
    if len(tail) != _FOOTER.size + len(MAGIC) or not tail.endswith(MAGIC):
        return None
    opcode, length, summary_start, offsets_start, crc = _FOOTER.unpack_from(tail)
    if opcode != Opcode.FOOTER or length != _FOOTER.size - RECORD.size:
        return None
    if not 0 <= summary_start <= size - len(tail):
        return None
    if crc:
        count = size - len(tail) - summary_start if summary_start else 0
        summary = os.pread(descriptor, count, summary_start)
        if zlib.crc32(tail[: _FOOTER.size - 4], zlib.crc32(summary)) != crc:
            return None
    return Footer(summary_start, offsets_start, crc)


@dataclass(frozen=True)
class FileEnd:
    """What tells a whole file from any other: its size, and the checksums in its end."""

    size: int
    data_crc: int  # of all data; 0 where the writer left it out
    summary_crc: int


def file_end(descriptor: int) -> FileEnd | None:
    """Of an open file; None if it has no end, or a summary that is not as it was written."""
    footer = footer_of(descriptor)
    if footer is None:
        return None
    size = os.fstat(descriptor).st_size
    begin = footer.summary_start or size - _FOOTER.size - len(MAGIC)
    data_end = os.pread(descriptor, _DATA_END.size, max(begin - _DATA_END.size, 0))
    if len(data_end) != _DATA_END.size:
        return None
    opcode, _, data_crc = _DATA_END.unpack(data_end)
    return FileEnd(size, data_crc, footer.summary_crc) if opcode == Opcode.DATA_END else None
