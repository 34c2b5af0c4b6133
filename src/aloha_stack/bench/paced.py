"""Loops at a fixed rate, each in a process of its own: with an arm's bus in them, and empty ones.

A slot is one period of the absolute schedule. A cycle is *missed* if its slot passed without it:
it woke a whole period late, so that the slot was skipped, or the answers of all seven servos were
not there, the goals not written, when the next slot began. An empty loop misses a slot when it
wakes a whole period late. Both kinds run at the same time on the same schedule (their phases are
spread over the period), so that the noise of the machine falls on both alike.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from aloha_stack.bench.emulator import bench_robot
from aloha_stack.bench.hosts import Work, working
from aloha_stack.control.pacing import Pacer

EMPTY = "empty"
START_S = 3.0
"""From the order to the first slot: processes start, import and open their ports meanwhile."""


@dataclass(frozen=True)
class Task:
    """One loop: `kind` is a host of hosts.HOSTS on the line of `arm`, or EMPTY."""

    kind: str
    arm: str
    folder: Path
    rate_hz: float
    seconds: float
    start_s: float
    """Steady time of the first slot."""


@dataclass(frozen=True)
class Count:
    """What came of a loop: slots, those missed, and the CPU time of its bus layer for one cycle, s.

    A host that cannot keep up does fewer cycles than there are slots.
    """

    kind: str
    slots: int
    missed: int
    cycle_cpu_s: float = 0.0


def run_together(tasks: Sequence[Task]) -> list[Count]:
    """Runs every loop in its own process, at the same time."""
    with ProcessPoolExecutor(len(tasks), mp_context=get_context("spawn")) as pool:
        return list(pool.map(run_loop, tasks))


def run_loop(task: Task) -> Count:
    """One loop, in this process."""
    if task.kind == EMPTY:
        return _count(task, None)
    with working(bench_robot(task.folder).arm(task.arm), task.kind) as work:
        return _count(task, work)


def _count(task: Task, work: Work | None) -> Count:
    _sleep_until(round(task.start_s * 1e9))
    pacer = Pacer(1 / task.rate_hz, time.monotonic_ns, _sleep_until)
    slots, first_ns, done = round(task.seconds * task.rate_hz), pacer.deadline_ns, 0
    while pacer.deadline_ns < first_ns + slots * pacer.period_ns:
        pacer.wait()
        complete = work is None or work.cycle()
        done += complete and time.monotonic_ns() < pacer.deadline_ns
    if work is None:
        return Count(task.kind, slots, slots - done)
    cycle_cpu_s = work.load.cpu_s / max(1, work.load.cycles)
    return Count(task.kind, slots, slots - done, cycle_cpu_s)


def _sleep_until(deadline_ns: int) -> bool:
    left_s = (deadline_ns - time.monotonic_ns()) * 1e-9
    if left_s > 0:
        time.sleep(left_s)
    return True
