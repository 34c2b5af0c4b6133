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

from aloha_stack.episodes.collector import ColumnLists, Columns, TopicFacts
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
        data = columns_path(mcap).read_bytes()
        with mcap.open("rb") as file:
            end = file_end(file.fileno())
    except OSError:
        return None
    index = _index(data)
    if end is None or index is None or index["mcap"] != asdict(end):
        return None
    lists = ColumnLists()
    for topic, blocks in index["blocks"].items():
        for offset, count, crc in blocks["places"]:
            block = _block(data, offset, count, crc, blocks["columns"])
            if block is None:
                return None
            lists.add(topic, block)
    facts = [_facts_in(each, mcap) for each in index["topics"]]
    return contents_of(facts, lists.columns(), closed=True)


def _index(data: bytes) -> dict[str, Any] | None:
    if len(data) < _END.size + len(MAGIC):
        return None
    begin, length, crc, magic = _END.unpack_from(data, len(data) - _END.size)
    text = data[begin : begin + length]
    if magic != MAGIC or not data.startswith(MAGIC) or zlib.crc32(text) != crc:
        return None
    index = json.loads(text)
    kept = {kind: list(names) for kind, names in KEPT.items()}
    return index if index["format"] == FORMAT and index["kept"] == kept else None


def _block(
    data: bytes, offset: int, count: int, crc: int, described: Sequence[tuple[str, str, list[int]]]
) -> Columns | None:
    columns, begin = {}, offset
    for name, kind, shape in described:
        numbers = count * int(np.prod(shape, dtype=np.int64))
        dtype = np.dtype(kind)
        end = begin + numbers * dtype.itemsize
        columns[name] = np.frombuffer(data, dtype, numbers, begin).reshape(count, *shape)
        begin = end
    return columns if zlib.crc32(memoryview(data)[offset:begin]) == crc else None


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
