"""An MCAP file that grows: what is appended is in it whole, or not at all."""

import fcntl
import os
import threading
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mcap.records import Channel, ChunkIndex, Schema

from aloha_stack.episodes.mcap_records import (
    CHUNK_HEAD_BYTES,
    Contents,
    OpenChunk,
    chunk_index,
    file_head,
    metadata_record,
    record_bytes,
)

SYNC_S = 1.0
"""How often what was appended is forced to the disk: what a loss of power may cost at most, and
how little is left to be done when the file is closed."""


class InUse(OSError):
    """The file is being written by somebody else."""


def lock(descriptor: int, path: Path) -> None:
    """Takes the lock that a file's writer holds until it is closed or dead. Raises InUse.

    Where the file system knows no locks (some network mounts) nothing is locked.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InUse(error.errno, "is being recorded or repaired right now", str(path)) from error
    except OSError:
        return


def being_written(path: Path) -> bool:
    """Whether somebody holds the lock of a file: a recorder, or a repair. Touches nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


class McapOutput:
    """One open, locked file. After an error of the disk the file ends where it did before."""

    def __init__(self, descriptor: int, position: int, contents: Contents) -> None:
        """Goes on at `position`; `contents` is what the file holds up to there."""
        self._descriptor = descriptor
        self.position = position
        self.contents = contents
        # Of all bytes before `position`: of a file that is gone on with nobody knows it.
        self._crc: int | None = None if position else 0
        self.closed = False

    @staticmethod
    def create(path: Path) -> "McapOutput":
        """A new file, with its head. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            lock(descriptor, path)
            output = McapOutput(descriptor, 0, Contents())
            output.append(file_head())
        except OSError:
            os.close(descriptor)
            raise
        return output

    def append(self, *parts: bytes | bytearray) -> None:
        """Appends bytes. Raises OSError (disk full); nothing of them is in the file then."""
        position = self.position
        try:
            for part in parts:
                view = memoryview(part)
                while view:
                    written = os.pwrite(self._descriptor, view, position)
                    view, position = view[written:], position + written
        except OSError:
            os.ftruncate(self._descriptor, self.position)
            raise
        self.position = position
        if self._crc is not None:
            for part in parts:
                self._crc = zlib.crc32(part, self._crc)

    def describe(self, schemas: list[Schema], channels: list[Channel]) -> None:
        """Says what the messages will be. Raises OSError."""
        self.append(record_bytes(*schemas, *channels))
        self.contents.schemas |= {schema.id: schema for schema in schemas}
        self.contents.channels |= {channel.id: channel for channel in channels}

    def add_metadata(self, name: str, data: Mapping[str, str]) -> None:
        """Appends a record of words. Raises OSError."""
        record, index = metadata_record(name, dict(data), self.position)
        self.append(record)
        self.contents.metadata.append(index)

    def add_chunk(self, chunk: OpenChunk) -> None:
        """Appends a chunk and its index. Raises OSError."""
        start, size = self.position, len(chunk.records)
        index, offsets = chunk.index(start + CHUNK_HEAD_BYTES + size)
        self.append(chunk.head(), chunk.records, index)
        self.contents.add_chunk(chunk, chunk_index(chunk, start, size, offsets, len(index)))

    def adopt(self, chunk: OpenChunk, entry: ChunkIndex, rebuilt: bool) -> None:
        """Completes the chunk that is in the file already and ends where the file ends now.

        Its index is appended, and its head written anew if it is `rebuilt`: its records never are.
        Raises OSError.
        """
        self._crc = None
        if rebuilt:
            os.pwrite(self._descriptor, chunk.head(), entry.chunk_start_offset)
        index, offsets = chunk.index(self.position)
        self.append(index)
        whole = replace(entry, message_index_offsets=offsets, message_index_length=len(index))
        self.contents.add_chunk(chunk, whole)

    def sync(self) -> None:
        """Forces what was appended to the disk; for a thread beside, too. Raises OSError."""
        os.fdatasync(self._descriptor)

    def append_end(self) -> None:
        """Appends what the end says of the contents, and forces all to the disk. Raises OSError."""
        self.append(self.contents.ending(self.position, self._crc or 0))
        os.fsync(self._descriptor)

    def finish(self) -> None:
        """Appends the end and closes. Raises OSError; it is closed then, too, and ends with its
        last whole chunk."""
        try:
            self.append_end()
        finally:
            self.close()

    def close(self) -> None:
        """Closes the file as it is, and gives the lock back."""
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)


class Syncing:
    """A thread that forces a file to the disk about every second."""

    def __init__(self, output: McapOutput, interval_s: float = SYNC_S) -> None:
        self._output, self._interval_s = output, interval_s
        self._ending = threading.Event()
        self.error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="episode sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        synced = 0
        while not self._ending.wait(self._interval_s):
            position = self._output.position
            if position == synced:
                continue
            try:
                self._output.sync()
            except OSError as error:  # told with the next flush
                self.error = error
                return
            synced = position

    def end(self) -> None:
        """Ends it; before the file is closed."""
        self._ending.set()
        self._thread.join()
