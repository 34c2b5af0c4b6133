"""A policy that infers for so long, whose chunks come late, get lost or swap places: for tests.

Model time only. All columns move alike; a chunk is off from the common course by a distance and a
drift of its own, as the chunks of a real policy are.
"""

from dataclasses import dataclass, field

import numpy as np

from aloha_stack.control.chunks import ChunkRefused, ChunkSchedule, Target

DT_NS, DT_S = 20_000_000, 0.02
WIDTH = 14


def swing(time_s: np.ndarray, rad: float = 0.4, rate_hz: float = 0.25) -> np.ndarray:
    """The common course, and as its greatest velocity 2 pi rad rate_hz."""
    return rad * np.sin(2 * np.pi * rate_hz * time_s)


def columns(course: np.ndarray) -> np.ndarray:
    """The same course (n,) in all columns: (n, 14)."""
    return np.tile(np.asarray(course, dtype=float)[:, None], WIDTH)


@dataclass(frozen=True)
class Sent:
    """A chunk (n,) from an observation at `stamp_ns`, which arrives at `arrives_ns`."""

    stamp_ns: int
    arrives_ns: int
    rows: np.ndarray

    def at(self, now_ns: float) -> float:
        """Where it is: between its rows, and at its ends beyond them."""
        place = (now_ns - self.stamp_ns) / DT_NS
        return float(np.interp(place, np.arange(len(self.rows)), self.rows))


@dataclass
class Run:
    """What a schedule made of chunks, one column of it, tick by tick."""

    times_ns: list[int] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def position(self) -> np.ndarray:
        return np.array([target.position[0] for target in self.targets])

    @property
    def holds(self) -> np.ndarray:
        return np.array([bool(target.holding) for target in self.targets])


def inferred(
    inference_s: list[float],
    duration_s: float,
    rows: int = 100,
    off: float = 0.03,
    drift: float = 0.03,
    seed: int = 0,
) -> list[Sent]:
    """Chunks of a policy that infers back to back, as long as told in turns, off by at most `off`
    rad and by `drift` rad per s."""
    random = np.random.default_rng(seed)
    sent, now_ns = [], 0
    while now_ns < duration_s * 1e9:
        arrives_ns = now_ns + round(inference_s[len(sent) % len(inference_s)] * 1e9)
        ahead_s = np.arange(rows) * DT_S
        error = random.uniform(-off, off) + random.uniform(-drift, drift) * ahead_s
        sent.append(Sent(now_ns, arrives_ns, swing(now_ns * 1e-9 + ahead_s) + error))
        now_ns = max(arrives_ns, now_ns + DT_NS // 2)
    return sent


def play(schedule: ChunkSchedule, sent: list[Sent], duration_s: float, begin: bool = True) -> Run:
    """Ticks at 50 Hz; a chunk that arrives at a tick counts in it."""
    run = Run()
    waiting = sorted(sent, key=lambda chunk: chunk.arrives_ns)
    if begin:
        schedule.begin(np.zeros(WIDTH), 0)
    for now_ns in range(0, round(duration_s * 1e9), DT_NS):
        while waiting and waiting[0].arrives_ns <= now_ns:
            chunk = waiting.pop(0)
            try:
                schedule.add(chunk.stamp_ns, columns(chunk.rows), max(chunk.arrives_ns, now_ns))
            except ChunkRefused as refusal:
                run.refused.append(str(refusal))
        run.times_ns.append(now_ns)
        run.targets.append(schedule.target(now_ns))
    return run
