"""Walks through an MCAP file without reading its pictures: the places and heads of its messages.

Of a large message only the head is read, so that minutes of pictures cost seconds of joint states.
Record layouts are those of the MCAP specification (https://mcap.dev/spec). A file that breaks off
ends quietly after its last whole chunk, as with `McapFile`; bytes are compared with the checksums
of the chunks only if asked for.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, Schema
from mcap.stream_reader import get_chunk_data_stream

from aloha_stack.episodes.errors import EpisodeError

MAGIC = b"\x89MCAP0\r\n"
HEAD_BYTES = 2048
"""A message of up to this size is handed over whole; of a larger one, so much from its start."""

_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
_RECORD = struct.Struct("<BQ")  # opcode, length
_MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_CHUNK_HEAD = struct.Struct("<QQQII")  # first, last time, size, CRC; length of the compression
_WINDOW_BYTES = 32 << 10
_LONGEST_DEFINITION = 16 << 20


class Found(NamedTuple):
    """One message. `offset` is where its `size` bytes begin in the file, -1 in a compressed chunk;
    `head` are the first of these bytes."""

    channel: int
    log_ns: int
    publish_ns: int
    offset: int
    size: int
    head: bytes


@dataclass(frozen=True)
class _Window:
    """The part of the file that is in memory: `data` begins at byte `start`."""

    data: bytes
    start: int


class McapWalk:
    """One file. `closed` is known after `messages` has run to its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed: bool | None = None
        self.schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}
        self._file = -1
        self._size = 0
        self._inside = False  # a decompressed chunk: nothing of it has a place in the file

    def messages(self, verify: bool = False) -> Iterator[Found]:
        """All messages in the order of the file; with `verify`, checksums are compared.

        Raises EpisodeError for what is no MCAP file or is damaged before its end.
        """
        try:
            self._file = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise EpisodeError(
                f"{self.path} cannot be opened: {error.strerror}; the episode needs this file"
            ) from error
        try:
            self.closed = False
            self._size = os.fstat(self._file).st_size
            yield from self._whole(verify)
        except OSError as error:
            raise EpisodeError(f"{self.path} cannot be read: {error.strerror}") from error
        except struct.error as error:  # the file became shorter meanwhile
            raise self._damaged(self._size, error) from error
        finally:
            os.close(self._file)

    def _whole(self, verify: bool) -> Iterator[Found]:
        if self._pread(0, len(MAGIC)) != MAGIC:
            raise EpisodeError(
                f"{self.path} is not an MCAP file ({self._size} bytes); expected one that this "
                "recorder or rosbag2 with storage mcap wrote"
            )
        position = len(MAGIC)
        window = _Window(b"", 0)
        while position + _RECORD.size <= self._size:
            window, index = self._at(window, position, _RECORD.size + _CHUNK_HEAD.size)
            opcode, length = _RECORD.unpack_from(window.data, index)
            begin, end = position + _RECORD.size, position + _RECORD.size + length
            if end > self._size:  # the record that was being written as the writer died
                return
            if opcode == _CHUNK:
                yield from self._chunk(begin, end, verify)
            elif opcode == _DATA_END:
                self.closed = self._pread(self._size - len(MAGIC), len(MAGIC)) == MAGIC
                return
            else:
                yield from self._records(window, position, end)
            position = end

    def _chunk(self, begin: int, end: int, verify: bool) -> Iterator[Found]:
        head = self._pread(begin, _CHUNK_HEAD.size + 64)
        try:
            first, last, size, crc, name_length = _CHUNK_HEAD.unpack_from(head)
            name = head[_CHUNK_HEAD.size :][:name_length]
            (length,) = struct.unpack_from("<Q", head, _CHUNK_HEAD.size + name_length)
            compression = name.decode()
        except (struct.error, UnicodeDecodeError) as error:
            raise self._damaged(begin, error) from error
        records = begin + _CHUNK_HEAD.size + name_length + 8
        if records + length != end:
            raise self._damaged(
                begin, f"a chunk of {end - begin} bytes says that it holds {length}"
            )
        if compression:
            data = self._pread(records, length)
            try:
                chunk = Chunk(compression, data, last, first, crc, size)
                stream, size = get_chunk_data_stream(chunk, validate_crc=verify)
                window = _Window(bytes(stream.read(size)), 0)
            except Exception as error:  # each decompressor has errors of its own
                raise self._damaged(begin, error) from error
            self._inside = True
            yield from self._records(window, 0, len(window.data))
            self._inside = False
            return
        if verify and crc and self._crc(records, end) != crc:
            raise self._damaged(begin, "the checksum of a chunk does not fit its bytes")
        yield from self._records(_Window(b"", 0), records, end)

    def _records(self, window: _Window, position: int, end: int) -> Iterator[Found]:
        """The records from `position` to `end`, which have to fill this space."""
        data, start = window.data, window.start
        smallest = _RECORD.size + _MESSAGE_HEAD.size
        while position < end:
            index = position - start
            if index < 0 or index + smallest + HEAD_BYTES > len(data):
                window, index = self._at(window, position, smallest + HEAD_BYTES)
                data, start = window.data, window.start
            if position + _RECORD.size > end:
                raise self._damaged(position, "a record reaches beyond its chunk")
            opcode, length = _RECORD.unpack_from(data, index)
            after = position + _RECORD.size + length
            if after > end:
                raise self._damaged(position, "a record reaches beyond its chunk")
            if opcode == _MESSAGE:
                if length < _MESSAGE_HEAD.size:
                    raise self._damaged(position, f"a message of {length} bytes")
                channel, _, log_ns, publish_ns = _MESSAGE_HEAD.unpack_from(
                    data, index + _RECORD.size
                )
                if channel not in self.channels:
                    raise self._damaged(
                        position, f"channel {channel} of a message is not described"
                    )
                size = length - _MESSAGE_HEAD.size
                head = data[index + smallest : index + smallest + min(size, HEAD_BYTES)]
                offset = -1 if self._inside else position + smallest
                yield Found(channel, log_ns, publish_ns, offset, size, head)
            elif opcode in (_SCHEMA, _CHANNEL):
                self._describe(opcode, position + _RECORD.size, length, window)
            position = after

    def _describe(self, opcode: int, begin: int, length: int, window: _Window) -> None:
        """Takes in a schema or a channel."""
        if length > _LONGEST_DEFINITION:
            raise self._damaged(begin, f"a description of {length} bytes")
        inside = self._inside
        body = window.data[begin : begin + length] if inside else self._pread(begin, length)
        try:
            if opcode == _SCHEMA:
                schema = Schema.read(_stream(body))
                self.schemas[schema.id] = schema
            else:
                channel = Channel.read(_stream(body))
                if channel.schema_id not in self.schemas and channel.schema_id != 0:
                    raise self._damaged(begin, f"the schema of {channel.topic} is missing")
                self.channels[channel.id] = channel
        except (McapError, struct.error, ValueError) as error:
            raise self._damaged(begin, error) from error

    def _at(self, window: _Window, position: int, count: int) -> tuple[_Window, int]:
        """A window that holds `count` bytes from `position` (or as many as there are)."""
        index = position - window.start
        if self._inside or (index >= 0 and index + count <= len(window.data)):
            return window, index
        return _Window(self._pread(position, _WINDOW_BYTES), position), 0

    def _pread(self, position: int, count: int) -> bytes:
        parts = []
        while count > 0:  # one call gives at most 2 GiB
            part = os.pread(self._file, count, max(position, 0))
            if not part:
                break
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return b"".join(parts)

    def _crc(self, position: int, end: int) -> int:
        crc = 0
        while position < end:
            part = self._pread(position, min(end - position, 1 << 20))
            if not part:
                break
            crc, position = zlib.crc32(part, crc), position + len(part)
        return crc

    def _damaged(self, position: int, why: object) -> EpisodeError:
        reason = str(why) or type(why).__name__
        return EpisodeError(
            f"{self.path} is damaged near byte {position} of {self._size}: {reason}; copy it again "
            "from where it was recorded, or record the episode again"
        )


def _stream(body: bytes) -> ReadDataStream:
    return ReadDataStream(BytesIO(body))
