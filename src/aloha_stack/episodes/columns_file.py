"""The columns of a recording, in a file beside it: who wants them need not read the recording.

It is written block by block while messages come, and never read back by its writer. Its end holds
an index, and says which MCAP file it was made of: a file without an end, or of another MCAP file,
counts for nothing. Numbers are little-endian.
"""

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.episodes.collector import Columns, TopicFacts
from aloha_stack.episodes.contents import Contents, contents_of
from aloha_stack.episodes.mcap_records import FileEnd, file_end
from aloha_stack.episodes.picture_table import PictureFormat
from aloha_stack.episodes.said_numbers import KEPT

FORMAT = 1
"""To be counted up with every change of what the columns are, or of what is taken for whole."""

COLUMNS = ".columns"
MAGIC = b"ALOHACOL"
_END = struct.Struct("<QII8s")  # where the index begins, its bytes, its CRC, MAGIC


def columns_path(mcap: Path) -> Path:
    """Where the columns of an MCAP file are."""
    return mcap.with_suffix(COLUMNS)


@dataclass
class _Blocks:
    """The blocks of one topic: each has all columns, one after the other."""

    columns: list[list[Any]]  # name, dtype, and shape of one message's part
    places: list[tuple[int, int, int]]  # offset, messages, CRC


class ColumnsFile:
    """A ColumnStore in a new file. Raises OSError (disk full)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._topics: dict[str, _Blocks] = {}
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o666), "wb", buffering=0)
        self._position = 0
        self._write(MAGIC)

    def add(self, topic: str, columns: Columns) -> None:
        arrays = {name: _little(values) for name, values in columns.items()}
        blocks = self._topics.get(topic)
        if blocks is None:
            described = [[name, a.dtype.str, list(a.shape[1:])] for name, a in arrays.items()]
            blocks = self._topics[topic] = _Blocks(described, [])
        data = b"".join(array.tobytes() for array in arrays.values())
        count = len(next(iter(arrays.values())))
        blocks.places.append((self._position, count, zlib.crc32(data)))
        self._write(data)

    def finish(self, facts: Sequence[TopicFacts], mcap: FileEnd) -> None:
        """Appends the end and closes the file."""
        index = {
            "format": FORMAT,
            "kept": KEPT,
            "mcap": asdict(mcap),
            "topics": [_facts_out(each) for each in facts],
            "blocks": {topic: asdict(blocks) for topic, blocks in self._topics.items()},
        }
        data = json.dumps(index).encode()
        self._write(data + _END.pack(self._position, len(data), zlib.crc32(data), MAGIC))
        self._file.close()

    def discard(self) -> None:
        """Closes and removes it, if that can be done: without its end it counts for nothing."""
        with contextlib.suppress(OSError):
            self._file.close()
            self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = self._file.write(view)
            view, self._position = view[written:], self._position + written


def stored_contents(mcap: Path) -> Contents | None:
    """What the file beside `mcap` says that it holds; None unless that was made of these very
    bytes, by rules that are still the same, and is whole."""
    try:
        with mcap.open("rb") as file:
            end = file_end(file.fileno())
        with columns_path(mcap).open("rb") as file:
            index = _index(file.fileno())
            if end is None or index is None or index["mcap"] != asdict(end):
                return None
            columns = {}
            for topic, blocks in index["blocks"].items():
                found = _columns(file.fileno(), _Blocks(**blocks))
                if found is None:
                    return None
                columns[topic] = found
    except OSError:
        return None
    facts = [_facts_in(each, mcap) for each in index["topics"]]
    return contents_of(facts, columns, closed=True)


def _index(file: int) -> dict[str, Any] | None:
    """Of a file that has its end, and follows today's rules."""
    end_at = os.fstat(file).st_size - _END.size
    tail = os.pread(file, _END.size, max(end_at, 0))
    if len(tail) != _END.size:
        return None
    begin, length, crc, magic = _END.unpack(tail)
    if magic != MAGIC or begin + length != end_at:
        return None
    text = os.pread(file, length, begin)
    if zlib.crc32(text) != crc:
        return None
    index = json.loads(text)
    kept = {kind: list(names) for kind, names in KEPT.items()}
    return index if index["format"] == FORMAT and index["kept"] == kept else None


def _columns(file: int, blocks: _Blocks) -> dict[str, np.ndarray] | None:
    """Of one topic; None if a block is not as it was written."""
    total = sum(count for _, count, _ in blocks.places)
    columns = {
        name: np.empty((total, *shape), np.dtype(kind)) for name, kind, shape in blocks.columns
    }
    row_bytes = sum(c.itemsize * int(np.prod(c.shape[1:])) for c in columns.values())
    row = 0
    for offset, count, crc in blocks.places:
        data = os.pread(file, count * row_bytes, offset)
        if len(data) != count * row_bytes or zlib.crc32(data) != crc:
            return None
        begin = 0
        for column in columns.values():
            rows = column[row : row + count]
            rows[...] = np.frombuffer(data, rows.dtype, rows.size, begin).reshape(rows.shape)
            begin += rows.nbytes
        row += count
    return columns


def _little(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder("<"), copy=False)


def _facts_out(facts: TopicFacts) -> dict[str, Any]:
    form = asdict(facts.form) if facts.form is not None else None
    return {
        "topic": facts.topic,
        "type": facts.type,
        "joints": facts.joints,
        "form": form,
        "pictures": bool(facts.files),
    }


def _facts_in(facts: Mapping[str, Any], mcap: Path) -> TopicFacts:
    form = PictureFormat(**facts["form"]) if facts["form"] is not None else None
    files = (mcap,) if facts["pictures"] else ()
    return TopicFacts(facts["topic"], facts["type"], tuple(facts["joints"]), form, files)
