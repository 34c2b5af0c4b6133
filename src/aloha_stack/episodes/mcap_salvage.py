"""What can be kept of an MCAP file whose writer died: everything up to where it breaks off.

Whole chunks are kept as they are, if their checksum fits. Of the one that was being written, whole
messages are kept. Where a loss of power left zeros instead of data (file systems do that, in whole
sectors) a file ends before the message that has them.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import NoReturn

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, Metadata, MetadataIndex, Schema
from mcap.stream_reader import get_chunk_data_stream

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.mcap_records import (
    CHUNK_FRONT,
    CHUNK_HEAD_BYTES,
    INDEX_FRONT,
    MAGIC,
    MESSAGE,
    RECORD,
    Contents,
    OpenChunk,
    chunk_index,
)
from aloha_stack.episodes.metadata import BAG_NOTE

SECTOR = 512
_ZEROS = bytes(SECTOR)
_LONGEST = 1 << 30
"""A record that says it is longer is taken for damage."""

_DATA = (
    *(Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK),
    *(Opcode.MESSAGE_INDEX, Opcode.ATTACHMENT, Opcode.METADATA, Opcode.DATA_END),
)
"""What stands between a file's head and its summary."""

_COMPRESSIONS = ("", "lz4", "zstd")


@dataclass
class LastChunk:
    """The chunk at which the kept part of a file ends: its index has still to be written behind it,
    and its head anew if it was not whole."""

    chunk: OpenChunk
    entry: ChunkIndex
    rebuilt: bool


@dataclass
class Salvage:
    """What was found: the first `kept` of `size` bytes are worth keeping, and hold `contents`."""

    size: int
    kept: int = 0  # 0: not even the head is whole
    contents: Contents = field(default_factory=Contents)
    last: LastChunk | None = None  # not in `contents`
    notes: dict[str, dict[str, str]] = field(default_factory=dict)  # records of words, by name
    strange: bool = False  # what is cut is more than an unfinished record or zeros

    @property
    def cut(self) -> int:
        """Bytes that are not kept."""
        return self.size - self.kept


class _Broken(Exception):
    """The file ends here, for what it is worth."""


@dataclass
class _Chunk:
    """A chunk that is whole, while its message indexes are read."""

    chunk: OpenChunk
    start: int
    length: int
    compression: str
    compressed: int
    size: int
    end: int  # of the last of its indexes
    offsets: dict[int, int] = field(default_factory=dict)

    def entry(self) -> ChunkIndex:
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


def salvage(descriptor: int, name: object) -> Salvage:
    """Looks at all bytes of an open file. Raises EpisodeError if it is no MCAP file; OSError."""
    return _Reading(descriptor, name).all()


class _Reading:
    def __init__(self, descriptor: int, name: object) -> None:
        self._descriptor, self._name = descriptor, name
        self._size = os.fstat(descriptor).st_size
        self._found = Salvage(self._size)
        self._chunk: _Chunk | None = None

    def all(self) -> Salvage:
        found = self._found
        if not self._begins():
            return found
        try:
            for opcode, start, end in self._records(len(MAGIC)):
                self._record(opcode, start, end)
        except (_Broken, McapError, struct.error, UnicodeDecodeError):
            pass
        self._settle(at_end=True)
        contents = found.contents
        contents.metadata = [each for each in contents.metadata if each.offset < found.kept]
        return found

    def _begins(self) -> bool:
        """Whether the head is whole; where it is not, nothing else is."""
        front = self._pread(0, len(MAGIC))
        if front != MAGIC:
            if MAGIC.startswith(front) or self._only_zeros(0):
                return False
            raise EpisodeError(
                f"{self._name} is not an MCAP file ({self._size} bytes); expected one that this "
                "recorder or rosbag2 with storage mcap wrote"
            )
        return True

    def _records(self, position: int) -> Iterator[tuple[int, int, int]]:
        """(opcode, start, end) of each whole record."""
        while position < self._size:
            head = self._pread(position, RECORD.size)
            opcode, length = RECORD.unpack(head)
            end = position + RECORD.size + length
            if opcode not in _DATA or length > _LONGEST:
                self._break_at(position)
            if end > self._size:
                if opcode == Opcode.CHUNK:
                    self._unfinished(position)
                raise _Broken
            yield opcode, position, end
            position = end

    def _record(self, opcode: int, start: int, end: int) -> None:
        if opcode != Opcode.MESSAGE_INDEX:
            self._settle()
        if opcode == Opcode.CHUNK:
            self._whole(start, end)
            return
        if opcode == Opcode.DATA_END:
            raise _Broken
        body = self._pread(start + RECORD.size, end - start - RECORD.size)
        if opcode != Opcode.MESSAGE_INDEX and self._hole(start, end) is not None:
            self._break_at(start)
        if opcode == Opcode.MESSAGE_INDEX:
            if self._chunk is not None:
                channel, length = INDEX_FRONT.unpack_from(body)
                places = body[INDEX_FRONT.size :]
                if self._chunk.chunk.index_of(channel) != places or length != len(places):
                    self._break_at(start)
                self._chunk.offsets[channel] = start
                self._chunk.end = end
            return
        contents = self._found.contents
        if opcode == Opcode.METADATA:
            note = Metadata.read(_stream(body))
            self._found.notes[note.name] = note.metadata
            contents.metadata.append(MetadataIndex(start, end - start, note.name))
            if note.name == BAG_NOTE:  # stands at the end, and would be written there again
                return
        elif opcode == Opcode.MESSAGE:
            self._loose(body)
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            _describe(contents, opcode, body)
        elif opcode == Opcode.ATTACHMENT:
            contents.attachments += 1
        self._found.kept = end

    def _loose(self, body: bytes) -> None:
        """A message outside of chunks, as some recorders write them."""
        channel, _, log_ns, _ = MESSAGE.unpack_from(body)
        chunk = OpenChunk()
        chunk.note(channel, log_ns, 0)
        self._found.contents.count(chunk)

    def _break_at(self, position: int) -> NoReturn:
        """The file cannot be understood from here on."""
        self._found.strange = not self._only_zeros(position)
        raise _Broken

    # -- chunks -----------------------------------------------------------------------------

    def _whole(self, start: int, end: int) -> None:
        """A chunk that has all its bytes; not all of them need be good."""
        body = self._pread(start + RECORD.size, end - start - RECORD.size)
        first_ns, last_ns, size, crc, name_length = CHUNK_FRONT.unpack_from(body)
        compression = body[CHUNK_FRONT.size :][:name_length].decode()
        begin = CHUNK_FRONT.size + name_length + 8
        records: bytes | memoryview = memoryview(body)[begin:]
        (compressed,) = struct.unpack_from("<Q", body, begin - 8)
        if compressed != len(records) or compression not in _COMPRESSIONS:
            self._break_at(start)
        if compression:
            try:
                chunk = Chunk(compression, bytes(records), last_ns, first_ns, crc, size)
                stream, size = get_chunk_data_stream(chunk, validate_crc=True)
                records = stream.read(size)
            except Exception as error:  # each decompressor has errors of its own
                self._found.strange = True
                raise _Broken from error
        walked = self._walk(records)
        good = walked.read == len(records) == size
        if not compression and crc:
            good = good and zlib.crc32(records) == crc
        if good:
            self._found.contents.take_descriptions(walked.contents)
            self._chunk = _Chunk(
                walked.chunk, start, end - start, compression, compressed, size, end
            )
            return
        position = start + RECORD.size + begin
        hole = self._hole(position, end)
        if hole is not None and not compression:
            self._rebuild(start, records[: hole - position])
        self._break_at(start if hole is None else hole)

    def _unfinished(self, start: int) -> None:
        """The chunk that was being written as the writer died."""
        front = self._pread(start, CHUNK_HEAD_BYTES)
        if len(front) < CHUNK_HEAD_BYTES or CHUNK_FRONT.unpack_from(front, RECORD.size)[4]:
            return  # its head is not whole, or it is compressed
        position = start + CHUNK_HEAD_BYTES
        records = self._pread(position, min(self._size - position, _LONGEST))
        hole = self._hole(position, position + len(records))
        if hole is not None:
            self._found.strange = not self._only_zeros(hole)
            records = records[: hole - position]
        self._rebuild(start, records)

    def _rebuild(self, start: int, records: bytes | memoryview) -> None:
        """Keeps the whole messages at the beginning of `records`."""
        self._settle()
        walked = self._walk(records)
        if not walked.chunk.counts:
            return
        walked.chunk.records = bytearray(records[: walked.read])
        self._found.contents.take_descriptions(walked.contents)
        self._found.kept = start + CHUNK_HEAD_BYTES + walked.read
        entry = chunk_index(walked.chunk, start, walked.read, {}, 0)
        self._found.last = LastChunk(walked.chunk, entry, rebuilt=True)

    def _walk(self, records: bytes | memoryview) -> "_Walked":
        contents = Contents(dict(self._found.contents.schemas), dict(self._found.contents.channels))
        walked = _Walked(OpenChunk(), contents)
        end, position = len(records), 0
        channels = contents.channels
        try:
            while position + RECORD.size <= end:
                opcode, length = RECORD.unpack_from(records, position)
                after = position + RECORD.size + length
                if after > end or not opcode:
                    break
                if opcode == Opcode.MESSAGE:
                    channel, _, log_ns, _ = MESSAGE.unpack_from(records, position + RECORD.size)
                    if channel not in channels:
                        break
                    walked.chunk.note(channel, log_ns, position)
                else:
                    _describe(contents, opcode, bytes(records[position + RECORD.size : after]))
                position = walked.read = after
        except (_Broken, McapError, struct.error, UnicodeDecodeError):
            pass
        return walked

    def _settle(self, at_end: bool = False) -> None:
        """The chunk that was read last, and as much of its index as there is, is taken over."""
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return
        found = self._found
        if at_end and set(chunk.offsets) != set(chunk.chunk.counts):
            found.kept = chunk.start + chunk.length
            chunk.offsets, chunk.end = {}, found.kept
            found.last = LastChunk(chunk.chunk, chunk.entry(), rebuilt=False)
            return
        found.kept = chunk.end
        found.contents.add_chunk(chunk.chunk, chunk.entry())

    # -- bytes ------------------------------------------------------------------------------

    def _only_zeros(self, position: int) -> bool:
        """Whether there is nothing else from `position` on."""
        while position < self._size:
            part = self._pread(position, 1 << 20)
            if part.count(0) != len(part):
                return False
            position += len(part)
        return True

    def _hole(self, begin: int, end: int) -> int | None:
        """Where from `begin` to `end` the first sector is that has nothing but zeros.

        Only the last sector of the file may be shorter.
        """
        first = begin // SECTOR * SECTOR
        data = self._pread(first, -(-end // SECTOR) * SECTOR - first)
        index = data.find(_ZEROS)
        while index >= 0:
            aligned = -(-index // SECTOR) * SECTOR
            if data[aligned : aligned + SECTOR] == _ZEROS:
                return max(first + aligned, begin)
            index = data.find(_ZEROS, max(aligned, index + 1))
        tail = len(data) // SECTOR * SECTOR
        if tail < len(data) and not any(data[tail:]):
            return max(first + tail, begin)
        return None

    def _pread(self, position: int, count: int) -> bytes:
        parts = []
        while count > 0:
            part = os.pread(self._descriptor, count, position)
            if not part:
                break
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return b"".join(parts)


@dataclass
class _Walked:
    """The whole records at the beginning of some bytes: `read` of them."""

    chunk: OpenChunk
    contents: Contents
    read: int = 0


def _describe(contents: Contents, opcode: int, body: bytes) -> None:
    """Takes in a schema or a channel, if it is one."""
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(_stream(body))
        contents.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(_stream(body))
        if channel.schema_id and channel.schema_id not in contents.schemas:
            raise _Broken
        contents.channels[channel.id] = channel


def _stream(body: bytes) -> ReadDataStream:
    return ReadDataStream(BytesIO(body))
