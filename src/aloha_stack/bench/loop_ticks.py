"""How evenly a loop ticked, from the moments at which its ticks began."""

from dataclasses import dataclass

import numpy as np

from aloha_stack.control.stream_check import empty_periods

RATE_HZ = 50.0
PERIOD_NS = round(1e9 / RATE_HZ)


@dataclass(frozen=True)
class Ticks:
    """`error_ms` (count - 1,): how far each period was off its 20 ms. `skipped`: periods of the
    schedule in which no tick began."""

    count: int
    skipped: int
    error_ms: np.ndarray

    def percentile(self, percent: float) -> float:
        """Of the periods' errors, ms; NaN if there is none."""
        return float(np.percentile(self.error_ms, percent)) if len(self.error_ms) else float("nan")


def ticks(began_ns: np.ndarray) -> Ticks:
    """Of ticks (n,) int64 ns in their order."""
    if len(began_ns) < 2:
        return Ticks(len(began_ns), 0, np.empty(0))
    error_ms = np.abs(np.diff(began_ns) - PERIOD_NS) * 1e-6
    return Ticks(len(began_ns), empty_periods(began_ns, PERIOD_NS), error_ms)
