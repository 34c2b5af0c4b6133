"""Whether an arm's bus keeps up with the cycles that are wanted of it."""

from collections import deque
from typing import NamedTuple

WINDOW_S = 0.12
"""ROS time over which cycles are judged: long enough for a hiccup of the machine to pass."""
FEWEST = 4
"""Cycles that it takes to judge."""
EACH, MEAN = 1.3, 1.8
"""A bus is slow when every cycle takes so many periods, and all together so many on average."""
FORGIVEN = 5
"""One cycle in so many may be shorter: it makes up for one that the machine began late."""
BUSY = 0.5
"""The part of that time for which it was the bus that was waited for, and not the machine."""


class _Cycle(NamedTuple):
    gap_s: float
    steady_s: float
    trip_s: float


class BusPace:
    """Judges the last cycles. `slow` stays until their average is below 1.3 periods again.

    `mean_s` is how long a cycle took, ROS time, when that was judged last; 0 before.
    """

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.slow = False
        self.mean_s = 0.0
        self._cycles: deque[_Cycle] = deque()
        self._sum_s = 0.0

    def clear(self) -> None:
        """What comes has nothing to do with what was: a pause, a clock that was set."""
        self._cycles.clear()
        self._sum_s = 0.0

    def add(self, gap_s: float, steady_s: float, trip_s: float) -> None:
        """A cycle that began `gap_s` of ROS time and `steady_s` of steady time after the one
        before; the bus took `trip_s` of steady time to answer."""
        self._cycles.append(_Cycle(gap_s, steady_s, trip_s))
        self._sum_s += gap_s
        while len(self._cycles) > FEWEST and self._sum_s - self._cycles[0].gap_s >= WINDOW_S:
            self._sum_s -= self._cycles.popleft().gap_s
        if len(self._cycles) < FEWEST or self._sum_s < WINDOW_S - 1e-9:
            return
        self.mean_s = self._sum_s / len(self._cycles)
        mean = self.mean_s / self.period_s
        if self.slow:
            self.slow = mean >= EACH
        elif mean >= MEAN:
            gaps_s = sorted(cycle.gap_s for cycle in self._cycles)
            each = gaps_s[len(gaps_s) // FORGIVEN] >= EACH * self.period_s
            waited = sum(cycle.trip_s for cycle in self._cycles)
            self.slow = each and waited >= BUSY * sum(cycle.steady_s for cycle in self._cycles)
