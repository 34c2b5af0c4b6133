"""Numbers of serialised messages into arrays, many at a time.

Messages of a stream mostly have the same layout, so the numbers of one lie where those of the next
do: a run of equally long messages that are alike where it matters is read as one array.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Place:
    """Where some numbers of a message are."""

    offset: int
    kind: str  # numpy's, without the byte order: "i4", "f8"
    count: int


@dataclass(frozen=True)
class Layout:
    """Where things are in a message, and in all that have the same bytes where it is `fixed`."""

    order: str  # "<" or ">"
    fixed: tuple[slice, ...]
    places: Mapping[str, Place | int]  # a bare number: so many NaN, for the message has none


class CdrColumns:
    """Collects messages of one topic; `take` them now and then."""

    def __init__(self, layout: Callable[[bytes], Layout]) -> None:
        """`layout` is asked for each message that differs from the one before where it matters."""
        self._layout = layout
        self._waiting: list[bytes] = []

    def add(self, body: bytes) -> None:
        """Takes a message."""
        self._waiting.append(body)

    def take(self) -> dict[str, np.ndarray]:
        """By the names of the layout, (n, count) each, of the n messages since the last time.

        Nothing where there were none. What `layout` raises goes through.
        """
        waiting, self._waiting = self._waiting, []
        parts: dict[str, list[np.ndarray]] = {}
        while waiting:
            layout, size = self._layout(waiting[0]), len(waiting[0])
            alike = next((i for i, b in enumerate(waiting) if len(b) != size), len(waiting))
            block = np.frombuffer(b"".join(waiting[:alike]), np.uint8).reshape(alike, size)
            fixed = np.concatenate([np.arange(part.start, part.stop) for part in layout.fixed])
            same = (block[:, fixed] == block[0, fixed]).all(axis=1)
            count = alike if same.all() else int(np.argmin(same))
            for name, place in layout.places.items():
                parts.setdefault(name, []).append(_numbers(block[:count], layout.order, place))
            waiting = waiting[count:]
        return {name: np.concatenate(found) for name, found in parts.items()}


def _numbers(block: np.ndarray, order: str, place: Place | int) -> np.ndarray:
    if isinstance(place, int):
        return np.full((len(block), place), np.nan)
    width = int(place.kind[1:])
    part = np.ascontiguousarray(block[:, place.offset : place.offset + width * place.count])
    return part.view(f"{order}{place.kind}").astype(place.kind)
