"""How the tests are shared among worker processes: those with live parts by one, the rest by all.

`./aloha test` starts a worker for each core (at least two). What a graph does in a second depends
on who else computes, so no two tests with live parts run at once: one worker does all of them,
first, and the others do the pure tests meanwhile, politely. A file stays with one worker, so that
its fixtures are set up once.
"""

import os
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ROOT = Path(__file__).resolve().parents[1]
LIVE = (
    "tests/bench/test_fault_bench.py",
    "tests/bench/test_image_bench.py",
    "tests/bench/test_loop_bench.py",
    "tests/bench/test_record_bench.py",
    "tests/nodes/",
    "tests/rqt/",
    "tests/test_through_graph.py",
    "tests/twin/test_virtual_port.py",
)
"""Folders and files with running nodes, graphs, or other parts that must answer in time. Those that
say so by what they import need not stand here."""
RUNS_NODES = re.compile(r"^from (?:nodes\.|aloha_stack\.graph )|\brclpy\.init\(", re.MULTILINE)
MOST = 8
"""More workers than this would wait for the one with the live tests."""
POLITE = 10
"""Niceness of who runs pure tests: a tenth of the weight of a live one on the same core."""


def is_live(nodeid: str) -> bool:
    return _is_live(nodeid.partition("::")[0])


@cache
def _is_live(file: str) -> bool:
    return file.startswith(LIVE) or bool(RUNS_NODES.search((ROOT / file).read_text()))


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def beside_others() -> bool:
    """Whether another worker may be in a test now: this is one, or was started by a test of one."""
    return "PYTEST_XDIST_WORKER" in os.environ


def count(config: pytest.Config) -> int:
    """Workers for `-n auto`: 0 if tests were chosen, as a few are done sooner in this process."""
    option = config.option
    chosen = config.args_source is not config.ArgsSource.TESTPATHS
    chosen = chosen or option.keyword or option.markexpr or getattr(option, "lf", False)
    if chosen or option.capture == "no":
        return 0
    return min(MOST, max(2, len(os.sched_getaffinity(0))))


def live_first(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not is_live(item.nodeid))


def be_polite(item: pytest.Item) -> None:
    """From its first pure test on, a worker yields to the live ones. It gets no more of those."""
    if is_worker(item.config) and not is_live(item.nodeid):
        if os.nice(0) < POLITE:
            os.nice(POLITE)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)  # two, one of which has to wait, are slower than one


class ByFile(LoadScopeScheduling):
    """Hands out files in their order; the live tests as if they were one file."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False  # live_first() has brought them into their order
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return "live" if is_live(nodeid) else nodeid.partition("::")[0]

    def _reschedule(self, node: WorkerController) -> None:
        """A worker begins a test only when it knows the next one, or that there is none."""
        if node.shutting_down:
            return
        while self.workqueue and self._pending_of(self.assigned_work[node]) <= 2:
            self._assign_work_unit(node)
        if not self.workqueue:
            node.shutdown()

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Also to a worker that is dead, but not known to be: remove_node() takes it back then."""
        with suppress(OSError):
            super()._assign_work_unit(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """Of a worker that died: the test that killed it, which is not tried again, or None."""
        units = self.assigned_work.pop(node)
        left = [(unit, name) for unit in units.values() for name, done in unit.items() if not done]
        if not left:
            return None
        unit, killer = left[0]
        unit[killer] = True
        self.workqueue.update((key, unit) for key, unit in units.items() if not all(unit.values()))
        for other in self.assigned_work:
            self._reschedule(other)
        return killer
