"""Whether several speak where there must be one: safety nodes, or bridges of the same arm."""

from collections.abc import Mapping
from typing import Any

WINDOW_S = 2.0
"""Steady time in which both are heard, however rarely they speak."""
BREAKS = 3
"""One break in the order is a publisher that was started anew; two may be a chance."""
UNKNOWN = 2**64 - 1
"""RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED (rmw/types.h): the middleware does not tell."""


class Voices:
    """Listens to one topic. A publisher numbers what it sends; the numbers of two that speak by
    turns do not grow from message to message. One that has died is not heard, and so not counted,
    however long the graph still lists it. `words` say what to tell of several.
    """

    def __init__(self, words: str) -> None:
        self.words = words
        self._last = 0
        self._breaks_s: list[float] = []

    def hear(self, about: Mapping[str, Any], steady_s: float) -> str:
        """A message, as rclpy tells about it; `words` while there are several voices, or empty."""
        sequence = about.get("publication_sequence_number") or UNKNOWN
        if sequence == UNKNOWN:
            return ""
        if sequence <= self._last:
            self._breaks_s.append(steady_s)
        self._last = sequence
        self._breaks_s = [s for s in self._breaks_s if steady_s - s <= WINDOW_S]
        return self.words if len(self._breaks_s) >= BREAKS else ""

    def forget(self) -> None:
        """What was heard does not count any more."""
        self._breaks_s.clear()
