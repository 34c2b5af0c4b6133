"""How evenly a stream came: its rate, its late intervals and its longest gap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LATE = 1.5
"""An interval of more than so many nominal periods is late."""


@dataclass(frozen=True)
class Evenness:
    """Figures of one stream; None where it has too few messages to tell."""

    rate_hz: float | None  # pauses left out
    nominal_hz: float | None  # what it should have; None for a stream without a fixed rate
    late_share: float | None  # of its intervals
    longest_gap_s: float | None  # also from the episode's begin and to its end
    gap_at_s: float | None  # when that gap begins, from the episode's begin
    backwards: int  # stamps that are earlier than the one before


def evenness(
    stamps_ns: np.ndarray,
    nominal_hz: float | None,
    span_ns: tuple[int, int],
    pauses: Sequence[tuple[int, int | None]] = (),
) -> Evenness:
    """Of stamps (n,) int64 in the order of the file; `span_ns` is what the stream should cover.

    Intervals that a pause lies in are neither late nor count for the rate; a gap is as long as
    what of it lies outside of pauses, in one piece.
    """
    times = np.sort(stamps_ns)
    steps = np.diff(times)
    counted = ~paused(times[:-1], times[1:], pauses)
    steps = steps[counted]
    total_s = float(steps.sum()) * 1e-9
    rate = len(steps) / total_s if total_s > 0 else None
    late = None
    if nominal_hz is not None and len(steps):
        late = float(np.mean(steps > LATE * 1e9 / nominal_hz))
    gap, at = _longest_gap(times, span_ns, pauses)
    backwards = int(np.sum(np.diff(stamps_ns) < 0))
    return Evenness(rate, nominal_hz, late, gap, at, backwards)


def _longest_gap(
    times: np.ndarray,
    span_ns: tuple[int, int],
    pauses: Sequence[tuple[int, int | None]],
) -> tuple[float | None, float | None]:
    """Its length and its begin, s; of `times` (n,), sorted."""
    if not len(times):
        return None, None
    first, last = span_ns
    begins = np.concatenate([[first], times])
    ends = np.concatenate([times, [last]])
    for begin, end in pauses:  # each cuts what it touches in two
        cut = paused(begins, ends, [(begin, end)])
        left = np.minimum(ends[cut], begin)
        right = np.maximum(begins[cut], last if end is None else end)
        begins, ends = (
            np.concatenate([begins[~cut], begins[cut], right]),
            np.concatenate([ends[~cut], left, ends[cut]]),
        )
    lengths = ends - begins
    longest = int(np.argmax(lengths))
    if lengths[longest] < 0:  # nothing but pauses
        return None, None
    return float(lengths[longest]) * 1e-9, float(begins[longest] - first) * 1e-9


def paused(
    begin_ns: np.ndarray, end_ns: np.ndarray, pauses: Sequence[tuple[int, int | None]]
) -> np.ndarray:
    """Whether a pause lies in, or reaches into, each interval (n,)."""
    touched = np.zeros(len(begin_ns), bool)
    for begin, end in pauses:
        touched |= end_ns > begin if end is None else (end_ns > begin) & (begin_ns < end)
    return touched
