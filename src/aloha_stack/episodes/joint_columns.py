"""Serialised JointState messages into columns.

The layout is that of CDR (OMG DDS-XTypes, XCDR1): four bytes of encapsulation, then the fields,
each aligned to its own size from there.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aloha_stack.episodes.cdr import HEADER_BYTES, CdrReader
from aloha_stack.episodes.cdr_columns import CdrColumns, Layout, Place
from aloha_stack.episodes.errors import EpisodeError

FIELDS = ("position", "velocity", "effort")
STAMPS = "stamps_ns"


@dataclass(frozen=True)
class JointStream:
    """n messages of one JointState topic with k joints; empty fields of the message are NaN."""

    topic: str
    names: tuple[str, ...]
    stamps_ns: np.ndarray  # (n,) int64, acquisition
    position: np.ndarray  # (n, k) rad or m
    velocity: np.ndarray  # (n, k) rad/s or m/s
    effort: np.ndarray  # (n, k), as the driver gave it


def joint_stream(
    topic: str, names: tuple[str, ...], columns: Mapping[str, np.ndarray]
) -> JointStream:
    """Of what JointColumns took; a column that is not there is one of no message."""
    stamps = columns.get(STAMPS, np.zeros(0, np.int64))
    nothing = np.zeros((0, len(names)))
    return JointStream(topic, names, stamps, *(columns.get(field, nothing) for field in FIELDS))


def empty_stream(topic: str) -> JointStream:
    """A topic that no message came of."""
    return joint_stream(topic, (), {})


class JointColumns:
    """Collects the messages of one topic. `names` are known once some were taken."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.names: tuple[str, ...] | None = None
        self._columns = CdrColumns(self._layout)

    def add(self, body: bytes) -> None:
        """Takes a message; it is looked at by `take`."""
        self._columns.add(body)

    def take(self) -> dict[str, np.ndarray]:
        """STAMPS (n,) and FIELDS (n, k) of the messages since the last time; nothing for none.

        Raises EpisodeError if one of them was no JointState, or changed its joints.
        """
        found = self._columns.take()
        if not found:
            return {}
        seconds, nanoseconds = (found.pop(n)[:, 0].astype(np.int64) for n in ("sec", "nanosec"))
        return {STAMPS: seconds * 1_000_000_000 + nanoseconds, **found}

    def _layout(self, body: bytes) -> Layout:
        places: dict[str, Place | int] = {
            "sec": Place(HEADER_BYTES, "i4", 1),
            "nanosec": Place(HEADER_BYTES + 4, "u4", 1),
        }
        try:
            reader = CdrReader(body)
            reader.skip(8)  # the stamp
            reader.string()  # the frame
            names = tuple(reader.string() for _ in range(reader.count(5)))
            for field in FIELDS:
                count = reader.count(8)
                if count not in (0, len(names)):
                    raise EpisodeError(
                        f"{self.topic} has a {field} of another length than its {len(names)} joints"
                    )
                places[field] = Place(reader.doubles(count), "f8", count) if count else len(names)
        except (ValueError, struct.error) as error:
            raise EpisodeError(
                f"a message of {self.topic} does not fit its type sensor_msgs/msg/JointState: "
                f"{error}"
            ) from error
        if self.names is None:
            self.names = names
        elif names != self.names:
            raise EpisodeError(
                f"{self.topic} changes its joints from {list(self.names)} to {list(names)}; one "
                "stream has to keep to its joints"
            )
        return Layout(reader.order, tuple(reader.fixed), places)
