"""The steps of an episode: equal times at which every stream has a sample that is near enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

NEAREST, HOLD = "nearest", "hold"
METHODS = (NEAREST, HOLD)
BESIDE_NS = 1_000
"""Clocks and their users round: a stamp that is this little after a time counts as at it. Without
this a stream on the very grid of the steps would be held a whole period late, here and there."""
MOST_STEPS = 10_000_000
"""Two days at 50 Hz: more is a clock that was set, and would fill the memory."""


@dataclass(frozen=True)
class Stream:
    """The stamps (n,) int64 ns, sorted, of what is sampled; at step time + `lead_ns`."""

    stamps_ns: np.ndarray
    method: str = NEAREST
    lead_ns: int = 0

    def pick(self, times_ns: np.ndarray) -> np.ndarray:
        """Index (T,) of the sample for each step: the nearest, or the last at or before it.

        Where nothing is before it, "hold" gives the first. The stream must not be empty.
        """
        return pick(self.stamps_ns, times_ns + self.lead_ns, self.method)

    def distance_ns(self, times_ns: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Stamp less the time that it stands for, (T,) int64."""
        return self.stamps_ns[index] - (times_ns + self.lead_ns)


@dataclass(frozen=True)
class StepGrid:
    """T steps. Within a segment they follow each other at the period, without a gap or a pause."""

    time_ns: np.ndarray  # (T,) int64
    segment: np.ndarray  # (T,) int64: 0, 0, …, 1, 1, …
    index: Mapping[str, np.ndarray]  # of each stream's sample, (T,) int64


def pick(stamps_ns: np.ndarray, times_ns: np.ndarray, method: str) -> np.ndarray:
    """Index of the sample for each time; of two at the same distance (within BESIDE_NS) the
    earlier."""
    last = len(stamps_ns) - 1
    held = np.clip(np.searchsorted(stamps_ns, times_ns + BESIDE_NS, side="right") - 1, 0, last)
    if method == HOLD:
        return held
    following = np.minimum(held + 1, last)
    closer = (
        np.abs(stamps_ns[following] - times_ns) < np.abs(times_ns - stamps_ns[held]) - BESIDE_NS
    )
    return np.where(closer, following, held)


def step_grid(
    streams: Mapping[str, Stream],
    period_ns: float,
    tolerance_ns: int,
    pauses: Sequence[tuple[int, int | None]] = (),
    anchor: str = "",
) -> StepGrid:
    """The steps from the last stream's start to the first stream's end.

    The first is at a sample of the stream `anchor`, if there is one: a camera at the same rate
    then has its pictures at the steps, and not somewhere between. Each time is rounded to ns on
    its own: a period of 33 333 333.3 ns falls behind by nothing, however long the episode.

    A step is left out where a sample is further away than the tolerance, in the future of a held
    stream, or where it touches a pause; the next one then begins a new segment. No step at all if a
    stream is empty. Raises ValueError for more than MOST_STEPS.
    """
    nothing = np.zeros(0, np.int64)
    if not streams or any(not len(stream.stamps_ns) for stream in streams.values()):
        return StepGrid(nothing, nothing, dict.fromkeys(streams, nothing))
    start = max(int(s.stamps_ns[0]) - s.lead_ns for s in streams.values())
    end = min(int(s.stamps_ns[-1]) - s.lead_ns for s in streams.values())
    if anchor in streams:
        stamps = streams[anchor].stamps_ns
        first = int(np.searchsorted(stamps, start - BESIDE_NS))
        start = int(stamps[min(first, len(stamps) - 1)])
    count = max(int((end + BESIDE_NS - start) // period_ns) + 1, 0)
    if count > MOST_STEPS:
        raise ValueError(
            f"{(end - start) * 1e-9:.0f} s are more than {MOST_STEPS} steps of "
            f"{period_ns * 1e-9:g} s; was the clock set while it was recorded?"
        )
    times = start + np.rint(np.arange(count) * period_ns).astype(np.int64)
    good = np.ones(len(times), bool)
    index = {}
    for name, stream in streams.items():
        index[name] = stream.pick(times)
        distance = stream.distance_ns(times, index[name])
        good &= np.abs(distance) <= tolerance_ns
        if stream.method == HOLD:
            good &= distance <= BESIDE_NS
    lead = max(0, *(stream.lead_ns for stream in streams.values()))
    pause_before = np.zeros(len(times), np.int64)
    for begin, stop in pauses:
        good &= (times + lead < begin) | (times > (stop if stop is not None else end))
        pause_before += times > begin
    number = np.flatnonzero(good)
    broken = (np.diff(number) > 1) | (np.diff(pause_before[number]) > 0)
    segment = np.concatenate([[0], np.cumsum(broken)])[: len(number)].astype(np.int64)
    return StepGrid(times[good], segment, {name: found[good] for name, found in index.items()})
