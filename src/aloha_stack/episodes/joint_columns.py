"""Serialised JointState messages into arrays, many at a time.

All messages of a stream have the same layout, so the numbers of one lie where those of the next
do: a block of equally long messages is read as one array. The layout is that of CDR (OMG
DDS-XTypes, XCDR1): four bytes of encapsulation, then the fields, each aligned to its own size
from there.
"""

import struct
from dataclasses import dataclass

import numpy as np

from aloha_stack.episodes.cdr import HEADER_BYTES, CdrReader
from aloha_stack.episodes.errors import EpisodeError

FIELDS = ("position", "velocity", "effort")
_BLOCK = 1024


@dataclass(frozen=True)
class JointStream:
    """n messages of one JointState topic with k joints; empty fields of the message are NaN."""

    topic: str
    names: tuple[str, ...]
    stamps_ns: np.ndarray  # (n,) int64, acquisition
    position: np.ndarray  # (n, k) rad or m
    velocity: np.ndarray  # (n, k) rad/s or m/s
    effort: np.ndarray  # (n, k), as the driver gave it


def empty_stream(topic: str) -> JointStream:
    """A topic that no message came of."""
    return JointColumns(topic).stream()


@dataclass(frozen=True)
class _Layout:
    """Where things are in the messages that are like `model`."""

    model: np.ndarray  # (bytes,) uint8
    fixed: np.ndarray  # indices of the bytes that are equal in all messages of this layout
    order: str  # "<" or ">"
    names: tuple[str, ...]
    numbers: tuple[int | None, ...]  # where each of FIELDS begins; None for an empty one


class JointColumns:
    """Collects the messages of one topic."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._names: tuple[str, ...] | None = None
        self._waiting: list[bytes] = []
        self._stamps: list[np.ndarray] = []
        self._columns: dict[str, list[np.ndarray]] = {field: [] for field in FIELDS}

    def add(self, body: bytes) -> None:
        """Takes a message. Raises EpisodeError if one of the last was none, or changed joints."""
        self._waiting.append(body)
        if len(self._waiting) >= _BLOCK:
            self._take()

    def stream(self) -> JointStream:
        """All that was added. Raises EpisodeError as `add` does."""
        self._take()
        names = self._names or ()
        columns = {
            field: np.concatenate(parts) if parts else np.zeros((0, len(names)))
            for field, parts in self._columns.items()
        }
        stamps = np.concatenate(self._stamps) if self._stamps else np.zeros(0, np.int64)
        return JointStream(self.topic, names, stamps, **columns)

    def _take(self) -> None:
        waiting, self._waiting = self._waiting, []
        while waiting:
            layout = self._layout(waiting[0])
            size = len(waiting[0])
            alike = next((i for i, b in enumerate(waiting) if len(b) != size), len(waiting))
            block = np.frombuffer(b"".join(waiting[:alike]), np.uint8).reshape(alike, size)
            same = (block[:, layout.fixed] == layout.model[layout.fixed]).all(axis=1)
            count = alike if same.all() else int(np.argmin(same))
            self._read(layout, block[:count])
            waiting = waiting[count:]

    def _read(self, layout: _Layout, block: np.ndarray) -> None:
        if self._names is None:
            self._names = layout.names
        elif layout.names != self._names:
            raise EpisodeError(
                f"{self.topic} changes its joints from {list(self._names)} to "
                f"{list(layout.names)}; one stream has to keep to its joints"
            )

        def numbers(begin: int, kind: str, count: int) -> np.ndarray:
            width = int(kind[1:])
            part = np.ascontiguousarray(block[:, begin : begin + width * count])
            return part.view(f"{layout.order}{kind}")

        seconds = numbers(HEADER_BYTES, "i4", 1)[:, 0].astype(np.int64)
        nanoseconds = numbers(HEADER_BYTES + 4, "u4", 1)[:, 0].astype(np.int64)
        self._stamps.append(seconds * 1_000_000_000 + nanoseconds)
        joints = len(layout.names)
        for field, begin in zip(FIELDS, layout.numbers, strict=True):
            if begin is None:
                values = np.full((len(block), joints), np.nan)
            else:
                values = numbers(begin, "f8", joints).astype(np.float64)
            self._columns[field].append(values)

    def _layout(self, body: bytes) -> _Layout:
        try:
            reader = CdrReader(body)
            reader.skip(8)  # the stamp
            reader.string()  # the frame
            names = tuple(reader.string() for _ in range(reader.count(5)))
            numbers: list[int | None] = []
            for field in FIELDS:
                count = reader.count(8)
                if count not in (0, len(names)):
                    raise EpisodeError(
                        f"{self.topic} has a {field} of another length than its {len(names)} joints"
                    )
                numbers.append(reader.doubles(count) if count else None)
        except (ValueError, struct.error) as error:
            raise EpisodeError(
                f"a message of {self.topic} does not fit its type sensor_msgs/msg/JointState: "
                f"{error}"
            ) from error
        model = np.frombuffer(body, np.uint8)
        fixed = np.concatenate([np.arange(part.start, part.stop) for part in reader.fixed])
        return _Layout(model, fixed, reader.order, names, tuple(numbers))
