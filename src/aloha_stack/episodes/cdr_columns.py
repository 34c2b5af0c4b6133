"""Numbers of serialised messages into arrays, many at a time.

Messages of a stream mostly have the same layout, so the numbers of one lie where those of the next
do: a run of equally long messages that are alike where it matters is read as one array.
"""

from array import array
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
        # Not the messages themselves: small ones that stay would keep large ones' memory in pieces.
        self._waiting, self._sizes = bytearray(), array("I")

    def add(self, body: bytes) -> None:
        """Takes a message."""
        self._waiting += body
        self._sizes.append(len(body))

    def take(self) -> dict[str, np.ndarray]:
        """By the names of the layout, (n, count) each, of the n messages since the last time.

        Nothing where there were none. What `layout` raises goes through.
        """
        waiting, sizes = bytes(self._waiting), np.array(self._sizes, np.int64)
        self._waiting, self._sizes = bytearray(), array("I")
        parts: dict[str, list[np.ndarray]] = {}
        begin = done = 0
        while done < len(sizes):
            size = int(sizes[done])
            layout = self._layout(waiting[begin : begin + size])
            other = sizes[done:] != size
            alike = int(np.argmax(other)) if other.any() else len(sizes) - done
            block = np.frombuffer(waiting, np.uint8, alike * size, begin).reshape(alike, size)
            fixed = np.concatenate([np.arange(part.start, part.stop) for part in layout.fixed])
            same = (block[:, fixed] == block[0, fixed]).all(axis=1)
            count = alike if same.all() else int(np.argmin(same))
            for name, place in layout.places.items():
                parts.setdefault(name, []).append(_numbers(block[:count], layout.order, place))
            begin, done = begin + count * size, done + count
        return {name: np.concatenate(found) for name, found in parts.items()}


def _numbers(block: np.ndarray, order: str, place: Place | int) -> np.ndarray:
    if isinstance(place, int):
        return np.full((len(block), place), np.nan)
    width = int(place.kind[1:])
    part = np.ascontiguousarray(block[:, place.offset : place.offset + width * place.count])
    return part.view(f"{order}{place.kind}").astype(place.kind)
