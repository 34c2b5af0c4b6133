"""Four arms at once at 100 Hz: missed cycles beside empty loops, and what the bus layer costs."""

import time
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.bench.bus_line import PEER, Show
from aloha_stack.bench.paced import EMPTY, START_S, Count, Task, run_together
from aloha_stack.bench.report import Bar, Row
from aloha_stack.robot.joints import ARMS

RATE_HZ = 100.0
BESIDE = "empty loops at the same time"
MOST_MISSED = 0.1
"""%, above an empty loop."""
MOST_CPU = 0.15
"""Of the stock port's."""


def four_arm_rows(folder: Path, seconds: float, stock_seconds: float, show: Show) -> list[Row]:
    """First our bus, then the stock port, each with four empty loops beside it."""
    show(f"four arms at 100 Hz, {seconds:g} s", 0.0)
    own = run_together(_tasks(folder, "aloha", seconds))
    show(f"four arms at 100 Hz, stock port, {stock_seconds:g} s", 0.7)
    stock = run_together(_tasks(folder, "stock", stock_seconds))
    missed, empty = _missed_percent(own, "aloha"), _missed_percent(own, EMPTY)
    stock_missed, stock_empty = _missed_percent(stock, "stock"), _missed_percent(stock, EMPTY)
    own_cpu, stock_cpu = _cpu_percent(own, "aloha"), _cpu_percent(stock, "stock")
    four = "four arms at 100 Hz"
    return [
        Row(
            f"{four} for {seconds:g} s: missed cycles above an empty loop",
            missed - empty,
            "%",
            peer=PEER,
            peer_value=stock_missed - stock_empty,
            bar=Bar("value", "<=", MOST_MISSED),
        ),
        Row(f"{four}: missed cycles", missed, "%", BESIDE, empty),
        Row(f"{four}, stock port: missed cycles", stock_missed, "%", BESIDE, stock_empty),
        Row(
            f"{four}: CPU of the bus layer at that rate, of one core",
            own_cpu,
            "%",
            peer=PEER,
            peer_value=stock_cpu,
            bar=Bar("ratio", "<=", MOST_CPU),
        ),
    ]


def _tasks(folder: Path, kind: str, seconds: float) -> list[Task]:
    """A loop with a bus and an empty one per arm, their phases spread over the period."""
    start_s, step_s = time.monotonic() + START_S, 1 / RATE_HZ / (2 * len(ARMS))
    kinds = [(one, arm) for arm in ARMS for one in (kind, EMPTY)]
    return [
        Task(one, arm, folder, RATE_HZ, seconds, start_s + index * step_s)
        for index, (one, arm) in enumerate(kinds)
    ]


def _missed_percent(counts: Sequence[Count], kind: str) -> float:
    mine = [count for count in counts if count.kind == kind]
    return 100 * sum(c.missed for c in mine) / sum(c.slots for c in mine)


def _cpu_percent(counts: Sequence[Count], kind: str) -> float:
    """Of one core, all arms together, at RATE_HZ: also of a host that was too slow for it."""
    return 100 * RATE_HZ * sum(count.cycle_cpu_s for count in counts if count.kind == kind)
