"""Gaps and jumps in a stream of targets, counted from the targets themselves.

Ticks have deadlines a period apart, and are late by this and that. A gap is a period from one
deadline to the next in which no target left. A jump is a target that lies farther from where the
two before it led than the joint can travel meanwhile, and farther than the rows of any chunk lie
from where their own two neighbours led: a stream may be as rough as what it was made of.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StreamCheck:
    """What was found in a stream of `commands` targets.

    `gaps`: periods without one. `longest_s`: from one target to the next, at most. `jumps`: targets
    off their course. `off`: how far one was off its course at most, in parts of what its joint can
    travel meanwhile.
    """

    commands: int = 0
    gaps: int = 0
    longest_s: float = 0.0
    jumps: int = 0
    off: float = 0.0


def check_stream(
    stamps_ns: Sequence[int],
    positions: Sequence[np.ndarray],
    period_s: float,
    velocity: np.ndarray,
    rough: np.ndarray | float = 0.0,
) -> StreamCheck:
    """Of targets (7,) rad with their stamps, in the order of these; `velocity` (7,) rad/s limits
    each joint, `rough` (7,) rad is how far the chunks' own rows lie off their course."""
    if len(stamps_ns) < 3:
        return StreamCheck(len(stamps_ns))
    at_ns = np.array(stamps_ns, dtype=np.int64)
    passed_s: np.ndarray = np.diff(at_ns).astype(np.float64) * 1e-9
    gaps, longest_s = empty_periods(at_ns, round(period_s * 1e9)), float(passed_s.max())
    passed_s = np.maximum(passed_s, period_s / 4)  # a late one and the next may be close together
    slopes = np.diff(np.array(positions, dtype=np.float64), axis=0) / passed_s[:, None]
    off = np.abs(np.diff(slopes, axis=0)) * passed_s[1:, None]
    travel = velocity * np.maximum(passed_s[1:, None], period_s)
    jumps = int((off > travel + rough).any(axis=1).sum())
    return StreamCheck(len(stamps_ns), gaps, longest_s, jumps, float((off / travel).max()))


def empty_periods(stamps_ns: np.ndarray, period_ns: int) -> int:
    """Periods without a stamp, of stamps (n,) in their order from the first to the last, with
    deadlines where that makes the fewest: they are not told."""
    found = []
    for begin_ns in np.unique(stamps_ns % period_ns):
        periods = (stamps_ns - begin_ns) // period_ns
        found.append(int(periods[-1] - periods[0]) + 1 - len(np.unique(periods)))
    return min(found)


def roughness(chunks: Iterable[np.ndarray], width: int) -> np.ndarray:
    """How far a row of `chunks` (each (n, width)) lies from where its two neighbours before led, at
    most: (width,)."""
    most = np.zeros(width)
    for rows in chunks:
        if len(rows) > 2:
            most = np.maximum(most, np.abs(np.diff(rows, n=2, axis=0)).max(axis=0))
    return most
