"""Steps of time, for policies whose memory knows time by their number alone."""

import math

EARLY_S = 0.005
"""By which an observation may come early and still belong to its step."""


def step_of(stamp_ns: int, first_ns: int, rate_hz: float) -> int:
    """The step, of `rate_hz`, that an observation belongs to; 0 is that of the first."""
    return math.floor(((stamp_ns - first_ns) * 1e-9 + EARLY_S) * rate_hz)


class StepCount:
    """Which observations of a stream begin a step, and how many steps have none."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._first_ns: int | None = None
        self._step = 0

    def is_new(self, stamp_ns: int) -> bool:
        """Whether an observation belongs to another step than the last that was counted."""
        first_ns = self._first_ns
        return first_ns is None or step_of(stamp_ns, first_ns, self._rate_hz) != self._step

    def count(self, stamp_ns: int) -> int:
        """Counts an observation; how many steps there were without one before it."""
        if self._first_ns is None:
            self._first_ns = stamp_ns
        step = step_of(stamp_ns, self._first_ns, self._rate_hz)
        missed, self._step = step - self._step - 1, step
        return max(missed, 0)
