"""How fast model time may pass: never faster than the wall, and never ahead of its users.

A loaded machine then slows the world down instead of starving the bridges and cameras in it.
"""

import time
from collections import deque
from collections.abc import Callable

MAX_DEBT_S = 0.02
"""Wall time that the world may catch up on after a delay; older delays are forgiven."""

USER_LEAD_S = 0.010
"""Model time between two bursts of requests on a port that is waited for: a 100 Hz cycle."""

BURST_S = 0.005
"""Requests that follow each other within this model time are one burst: a read and a write."""

PATIENCE_S = 0.1
"""Wall time after which a silent user is no longer waited for, until it speaks again."""

WINDOW_S = 2.0
"""Wall time over which the real-time factor is measured."""


class WorldPacer:
    """Says whether the world may take its next step; measures the real-time factor.

    `speed` is the model time per wall time that is aimed for (1 = real time).
    """

    def __init__(self, speed: float = 1.0, steady: Callable[[], float] = time.monotonic) -> None:
        if not 0.0 < speed <= 100.0:
            raise ValueError(f"speed must lie in (0, 100], got {speed}")
        self._speed, self._steady = speed, steady
        self._wall_s = steady()
        self._model_s = 0.0
        self._history: deque[tuple[float, float]] = deque([(self._wall_s, 0.0)])

    def wait_s(self, model_s: float) -> float:
        """Wall time until a step at model time `model_s` is due; 0 if it is due already."""
        now = self._steady()
        due = self._wall_s + (model_s - self._model_s) / self._speed
        if now - due > MAX_DEBT_S:
            self._wall_s, self._model_s = now - MAX_DEBT_S, model_s
        return max(0.0, due - now)

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
