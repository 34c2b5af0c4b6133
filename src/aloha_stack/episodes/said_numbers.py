"""Numbers that robot, player and twin say of themselves: a few fields of a few types.

Where a field is, is told by the definition that the file holds, not by this project's own: the
types may have grown since. Fields behind an array are not found.
"""

import re
import struct
from collections.abc import Iterator

import numpy as np

from aloha_stack.episodes.cdr import CdrReader
from aloha_stack.episodes.cdr_columns import CdrColumns, Layout, Place
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.schema import SEPARATOR

ARM_STATUS = "aloha_interfaces/msg/ArmStatus"
TASK_STATE = "aloha_interfaces/msg/TaskState"
SAFETY_STATE = "aloha_interfaces/msg/SafetyState"
PLAYER_STATE = "aloha_interfaces/msg/PlayerState"

KEPT = {
    ARM_STATUS: ("mode", "rejected_commands", "clamped_commands"),
    TASK_STATE: ("reward", "best_reward", "max_reward", "real_time_factor"),
    SAFETY_STATE: ("e_stopped",),
    PLAYER_STATE: ("state", "commander"),
}
"""The fields that are read, by type."""

_HEADERS = ("std_msgs/Header", "std_msgs/msg/Header", "Header")
_KINDS = {
    "bool": "u1",
    "byte": "u1",
    "char": "u1",
    "float32": "f4",
    "float64": "f8",
    **{f"int{bits}": f"i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"u{bits // 8}" for bits in (8, 16, 32, 64)},
}
_FIELD = re.compile(r"^([\w/]+)\s+(\w+)")


class SaidNumbers:
    """Collects the messages of one topic whose type is in KEPT."""

    def __init__(self, topic: str, kind: str, definition: str) -> None:
        self._topic, self._kind = topic, kind
        self._fields = tuple(_fields(definition))
        known = {name for _, name in self._fields}
        self.names = tuple(name for name in KEPT[kind] if name in known)
        self._columns = CdrColumns(self._layout)

    def add(self, body: bytes) -> None:
        """Takes a message, or its begin; it is looked at by `take`."""
        self._columns.add(body)

    def take(self) -> dict[str, np.ndarray]:
        """Each of `names`, (n,) float64 or int64, of the messages since the last time; nothing for
        none. Raises EpisodeError if one of them does not fit its type."""
        return {name: _wide(values[:, 0]) for name, values in self._columns.take().items()}

    def _layout(self, body: bytes) -> Layout:
        places: dict[str, Place | int] = {}
        try:
            reader = CdrReader(body)
            for kind, name in self._fields:
                if len(places) == len(self.names):
                    break
                if kind in _HEADERS:
                    reader.skip(8)  # the stamp
                    reader.string()
                elif kind == "string":
                    reader.string()
                else:
                    width = int(_KINDS[kind][1:])
                    reader.align(width)
                    begin = reader.skip(width)
                    if name in self.names:
                        places[name] = Place(begin, _KINDS[kind], 1)
        except (ValueError, struct.error) as error:
            raise EpisodeError(
                f"a message of {self._topic} does not fit its type {self._kind}: {error}"
            ) from error
        return Layout(reader.order, tuple(reader.fixed), places)


def _fields(definition: str) -> Iterator[tuple[str, str]]:
    """(type, name) of each field up to the first that is neither a number nor a text."""
    for line in definition.split(SEPARATOR)[0].splitlines():
        text = line.split("#", 1)[0].strip()
        if not text or "=" in text:  # a constant
            continue
        found = _FIELD.match(text)
        if found is None or found[1] not in (*_KINDS, "string", *_HEADERS):
            return
        yield found[1], found[2]


def _wide(values: np.ndarray) -> np.ndarray:
    """As int64 or float64; counters end where int64 does."""
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    if values.dtype == np.uint64:
        values = np.minimum(values, np.uint64(np.iinfo(np.int64).max))
    return values.astype(np.int64)
