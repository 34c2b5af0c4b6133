"""How fast model time may pass: never faster than the wall, and never ahead of its users.

A loaded machine then slows the world down instead of starving the bridges and cameras in it.
"""

import time
from collections import deque
from collections.abc import Callable

MAX_DEBT_S = 0.02
"""Wall time that the world may catch up on after a delay; older delays are forgiven."""

SLOW_DOWN = 0.97
"""What a forgiven delay does to the pace."""

SPEED_UP_PER_S = 0.2
"""What a second of wall time without delay does to it."""

SLOWEST = 0.02
"""Of the speed that is aimed for: below it the pace is not slowed further."""

USER_LEAD_S = 0.010
"""Model time between two bursts of requests on a port that is waited for: a 100 Hz cycle."""

BURST_S = 0.005
"""Requests that follow each other within this model time are one burst: a read and a write."""

PATIENCE_S = 0.1
"""Wall time after which a silent user is no longer waited for, until it speaks again."""

WINDOW_S = 2.0
"""Wall time over which the real-time factor is measured."""


class WorldPacer:
    """Says when the world may take its next step; measures the real-time factor.

    `speed` is the model time per wall time that is aimed for (1 = real time). A world that cannot
    keep it is led at a slower, even pace, found by slowing down at each delay and speeding up
    slowly in between: stop and go would let the arms' goals come late in model time.
    """

    def __init__(self, speed: float = 1.0, steady: Callable[[], float] = time.monotonic) -> None:
        if not 0.0 < speed <= 100.0:
            raise ValueError(f"speed must lie in (0, 100], got {speed}")
        self._speed, self._pace, self._steady = speed, speed, steady
        self._due_s = self._looked_s = steady()
        self._model_s = 0.0
        self._history: deque[tuple[float, float]] = deque([(self._due_s, 0.0)])

    def wait_s(self, model_s: float) -> float:
        """Wall time until a step at model time `model_s` is due; 0 if it is due already."""
        now = self._steady()
        self._due_s += (model_s - self._model_s) / self._pace
        faster = self._pace * (1.0 + SPEED_UP_PER_S * (now - self._looked_s))
        self._model_s, self._looked_s, self._pace = model_s, now, min(faster, self._speed)
        if now - self._due_s > MAX_DEBT_S:
            self._due_s = now
            self._pace = max(self._pace * SLOW_DOWN, SLOWEST * self._speed)
        return max(0.0, self._due_s - now)

    def record(self, model_s: float) -> None:
        """Notes how far the world has come, for the real-time factor. A few times a second."""
        now = self._steady()
        self._history.append((now, model_s))
        while len(self._history) > 2 and now - self._history[1][0] > WINDOW_S:
            self._history.popleft()

    def real_time_factor(self) -> float:
        """Model seconds per wall second over the last two wall seconds; 0 before any time."""
        (wall_0, model_0), (wall_1, model_1) = self._history[0], self._history[-1]
        return (model_1 - model_0) / (wall_1 - wall_0) if wall_1 > wall_0 else 0.0
