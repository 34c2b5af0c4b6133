"""What can be kept of an MCAP file whose writer died: everything up to where it breaks off.

Whole chunks are kept as they are, if their checksum fits. Of the one that was being written, whole
messages are kept. Where a loss of power left zeros instead of data (file systems do that, in whole
sectors) a file ends before the message that has them.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from mcap.opcode import Opcode
from mcap.records import Chunk, ChunkIndex, Metadata, MetadataIndex
from mcap.stream_reader import get_chunk_data_stream

from aloha_stack.episodes.chunk_walk import UNREADABLE, WholeChunk, describe, stream, walk
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.file_bytes import FileBytes
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

_LONGEST = 1 << 30
"""A record that says it is longer is taken for damage."""

_LONGEST_TAIL = 1 << 20
"""Of an unfinished record that is no chunk; more behind it is something else."""

_DATA = (
    *(Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK),
    *(Opcode.MESSAGE_INDEX, Opcode.ATTACHMENT, Opcode.METADATA, Opcode.DATA_END),
)
"""What stands between a file's head and its summary."""

_DATA_END_BYTES = RECORD.size + 4
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


def salvage(descriptor: int, name: object) -> Salvage:
    """Looks at all bytes of an open file. Raises EpisodeError if it is no MCAP file; OSError."""
    return _Reading(descriptor, name).all()


class _Reading:
    def __init__(self, descriptor: int, name: object) -> None:
        self._bytes, self._name = FileBytes(descriptor), name
        self._size = self._bytes.size
        self._found = Salvage(self._size)
        self._chunk: WholeChunk | None = None
        self._has_indexes = False

    def all(self) -> Salvage:
        found = self._found
        if not self._begins():
            return found
        try:
            for opcode, start, end in self._records(len(MAGIC)):
                self._record(opcode, start, end)
        except _Broken:
            pass
        except UNREADABLE:
            found.strange = True
        self._settle_last()
        contents = found.contents
        contents.metadata = [each for each in contents.metadata if each.offset < found.kept]
        return found

    def _begins(self) -> bool:
        """Whether the head is whole; where it is not, nothing else is."""
        front = self._bytes.read(0, len(MAGIC))
        if front != MAGIC:
            if MAGIC.startswith(front) or self._bytes.only_zeros(0):
                return False
            raise EpisodeError(
                f"{self._name} is not an MCAP file ({self._size} bytes); expected one that this "
                "recorder or rosbag2 with storage mcap wrote"
            )
        return True

    def _records(self, position: int) -> Iterator[tuple[int, int, int]]:
        """(opcode, start, end) of each whole record."""
        while position < self._size:
            head = self._bytes.read(position, RECORD.size)
            if len(head) < RECORD.size:
                raise _Broken
            opcode, length = RECORD.unpack(head)
            end = position + RECORD.size + length
            if opcode not in _DATA or length > _LONGEST:
                self._break_at(position)
            if end > self._size:
                if opcode == Opcode.CHUNK:
                    self._unfinished(position)
                else:
                    self._found.strange = not self._may_be_unfinished(opcode, length, position)
                raise _Broken
            yield opcode, position, end
            position = end

    def _may_be_unfinished(self, opcode: int, length: int, position: int) -> bool:
        """Whether a record, no chunk, that reaches beyond the file can be of a writer that died."""
        if opcode == Opcode.MESSAGE_INDEX and self._chunk is not None:
            longest = max(len(self._chunk.chunk.index_of(c)) for c in self._chunk.chunk.counts)
            return length <= INDEX_FRONT.size + longest
        return self._size - position <= _LONGEST_TAIL

    def _record(self, opcode: int, start: int, end: int) -> None:
        if opcode == Opcode.CHUNK:
            self._whole(start, end)
            return
        if opcode == Opcode.DATA_END:
            if end - start != _DATA_END_BYTES:
                self._break_at(start)
            raise _Broken
        body = self._bytes.read(start + RECORD.size, end - start - RECORD.size)
        if opcode == Opcode.MESSAGE_INDEX:
            self._index(body, start, end)
            return
        if self._bytes.hole(start, end) is not None:
            self._break_at(start)
        # A chunk is settled only when what follows it has turned out to be what it says it is.
        contents = self._found.contents
        if opcode == Opcode.METADATA:
            note = Metadata.read(stream(body))
            self._settle()
            self._found.notes[note.name] = note.metadata
            contents.metadata.append(MetadataIndex(start, end - start, note.name))
            if note.name == BAG_NOTE:  # stands at the end, and would be written there again
                return
        elif opcode == Opcode.MESSAGE:
            self._loose(body, start)
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            describe(contents, opcode, body)
            self._settle()
        elif opcode == Opcode.ATTACHMENT:
            self._settle()
            contents.attachments += 1
        self._found.kept = end

    def _index(self, body: bytes, start: int, end: int) -> None:
        """The index of a channel behind a chunk: it has to fit what the chunk holds."""
        if self._chunk is None:
            self._break_at(start)
        channel, length = INDEX_FRONT.unpack_from(body)
        places = body[INDEX_FRONT.size :]
        if self._chunk.chunk.index_of(channel) != places or length != len(places):
            self._break_at(start)
        self._chunk.offsets[channel] = start
        self._chunk.end = end

    def _loose(self, body: bytes, start: int) -> None:
        """A message outside of chunks, as some recorders write them: all of them, or none."""
        channel, _, log_ns, _ = MESSAGE.unpack_from(body)
        contents = self._found.contents
        if self._chunk is not None or contents.chunks or channel not in contents.channels:
            self._break_at(start)
        chunk = OpenChunk()
        chunk.note(channel, log_ns, 0)
        contents.count(chunk)

    def _break_at(self, position: int) -> NoReturn:
        """The file cannot be understood from here on."""
        self._found.strange = not self._bytes.only_zeros(position)
        raise _Broken

    # -- chunks -----------------------------------------------------------------------------

    def _whole(self, start: int, end: int) -> None:
        """A chunk that has all its bytes; not all of them need be good."""
        body = self._bytes.read(start + RECORD.size, end - start - RECORD.size)
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
                opened, size = get_chunk_data_stream(chunk, validate_crc=True)
                records = opened.read(size)
            except Exception as error:  # each decompressor has errors of its own
                self._found.strange = True
                raise _Broken from error
        walked = walk(records, self._found.contents)
        good = walked.read == len(records) == size
        if not compression and crc:
            good = good and zlib.crc32(records) == crc
        if good:
            self._settle()
            self._found.contents.take_descriptions(walked.contents)
            self._chunk = WholeChunk(
                walked.chunk, start, end - start, compression, compressed, size, end
            )
            return
        position = start + RECORD.size + begin
        hole = self._bytes.hole(position, end)
        if hole is not None and not compression:
            self._rebuild(start, records[: hole - position])
        self._break_at(start if hole is None else hole)

    def _unfinished(self, start: int) -> None:
        """The chunk that was being written as the writer died."""
        front = self._bytes.read(start, CHUNK_HEAD_BYTES)
        if len(front) < CHUNK_HEAD_BYTES or CHUNK_FRONT.unpack_from(front, RECORD.size)[4]:
            return  # its head is not whole, or it is compressed
        position = start + CHUNK_HEAD_BYTES
        records = self._bytes.read(position, min(self._size - position, _LONGEST))
        hole = self._bytes.hole(position, position + len(records))
        if hole is not None:
            self._found.strange = not self._bytes.only_zeros(hole)
            records = records[: hole - position]
        self._rebuild(start, records)

    def _rebuild(self, start: int, records: bytes | memoryview) -> None:
        """Keeps the whole messages at the beginning of `records`."""
        self._settle()
        walked = walk(records, self._found.contents)
        self._found.strange = self._found.strange or walked.foreign
        if not walked.chunk.counts:
            return
        walked.chunk.records = bytearray(records[: walked.read])
        self._found.contents.take_descriptions(walked.contents)
        self._found.kept = start + CHUNK_HEAD_BYTES + walked.read
        entry = chunk_index(walked.chunk, start, walked.read, {}, 0)
        self._found.last = LastChunk(walked.chunk, entry, rebuilt=True)

    def _settle(self) -> None:
        """The chunk that was read last is taken over: something good follows it."""
        chunk = self._chunk
        if chunk is None:
            return
        # A file has indexes of messages, or it has none.
        if not chunk.indexed and (chunk.offsets or self._has_indexes):
            self._break_at(chunk.end)
        self._chunk = None
        self._has_indexes = bool(chunk.offsets)
        self._found.kept = chunk.end
        self._found.contents.add_chunk(chunk.chunk, chunk.entry())

    def _settle_last(self) -> None:
        """As `_settle`, where nothing good follows: an index that is not whole is to be anew."""
        chunk = self._chunk
        if chunk is None or chunk.indexed:
            self._settle()
            return
        found, self._chunk = self._found, None
        found.kept = chunk.start + chunk.length
        chunk.offsets, chunk.end = {}, found.kept
        found.last = LastChunk(chunk.chunk, chunk.entry(), rebuilt=False)
