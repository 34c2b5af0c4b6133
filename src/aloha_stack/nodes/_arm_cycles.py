"""The thread in which one arm's bridge lives: cycles at their deadlines, and jobs between them."""

import threading
import time
from collections.abc import Callable
from typing import Any

from aloha_stack.control.pacing import Pacer
from aloha_stack.dynamixel.errors import BusError
from aloha_stack.nodes._arm_diagnostics import ArmDiagnostics
from aloha_stack.nodes._arm_driver import ArmDriver
from aloha_stack.nodes._arm_reports import ArmReports
from aloha_stack.nodes._jobs import Jobs
from aloha_stack.nodes._node import ManagedNode

SERVICE_LIMIT_S = 20.0
LOOK_AROUND_S = 0.5
"""Steady time after which the thread looks around, though no cycle is due."""
CLOCK_STILL_S = 1.0
"""Steady time without a step of the clock after which the clock stands still."""


class ArmCycles:
    """Begins and ends with the arm's connection. Only its thread touches the bus meanwhile."""

    def __init__(self, node: ManagedNode, driver: ArmDriver, reports: ArmReports) -> None:
        self._node, self.driver, self._reports = node, driver, reports
        self.diagnostics = ArmDiagnostics(node, driver, reports)
        self._name = driver.arm.name
        self._wake, self._ending = threading.Event(), threading.Event()
        self._unconfigured = f"{self._name} is not configured; its bridge has no connection"
        self._jobs = Jobs(self._unconfigured, (BusError,), self.poke)
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def broken(self) -> bool:
        """Whether the thread has ended though nobody asked it to."""
        return self._thread is not None and not self._thread.is_alive()

    def start(self) -> None:
        self._ending.clear()
        self._jobs.open()
        self._thread = self._node.start_thread(self._run, "cycle")

    def end(self) -> None:
        """Waits for the thread's end; what is asked for from now on is refused."""
        self._ending.set()
        self.poke()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._jobs.close(self._unconfigured)

    def ask(self, job: Callable[[], Any]) -> Any:
        """Has `job` done between two cycles; its result. BusError, Refused."""
        return self._jobs.ask(job, SERVICE_LIMIT_S)

    def poke(self) -> None:
        """Something is to be served, or told, before the next cycle."""
        self._node.time.poke(self._wake)

    # -- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        """What nobody foresaw ends the process, in order: the servos hold."""
        try:
            self._live()
        except Exception as error:
            why = f"the bridge has failed: {error!r}; see its log and start it anew"
            self.driver.fail(why)
            self._reports.status(self._node.time.now_ns())
            raise
        finally:
            self._jobs.close(f"{self._name}: the bridge has let go of the bus")

    def _live(self) -> None:
        now_ns = self._node.time.now_ns
        pacer = Pacer(
            self.driver.controller.settings.period_s,
            now_ns,
            lambda deadline_ns: self._node.time.sleep_until(deadline_ns, self._wake, LOOK_AROUND_S),
        )
        still, jumps = Standstill(now_ns()), 0
        while not self._ending.is_set():
            due = pacer.wait()
            self._wake.clear()
            if pacer.jumps != jumps:
                jumps = pacer.jumps
                self.driver.clock_jumped()
            self._reports.overruns = pacer.overruns
            at_ns = now_ns()
            why = "/clock stands still" if still.since(at_ns) > CLOCK_STILL_S else ""
            if due:
                self._cycle(at_ns)
            else:
                self.driver.controller.react(time.monotonic(), why)
            self.driver.look_for_port(time.monotonic())
            self._jobs.serve()
            self._reports.status(at_ns)
            self.diagnostics.publish_if_due(at_ns, time.monotonic())

    def _cycle(self, now_ns: int) -> None:
        if self.driver.controller.fault:
            return
        log = self._node.get_logger()
        try:
            cycle = self.driver.cycle(now_ns * 1e-9, time.monotonic())
        except BusError as error:
            self.driver.lose(error, time.monotonic())
            log.error(self.driver.controller.fault)
            return
        if cycle.note:
            log.warning(cycle.note)
        self._reports.cycle(cycle, now_ns, self._node.time.now_ns())


class Standstill:
    """For how long a clock has shown the same time."""

    def __init__(self, shown_ns: int) -> None:
        self._shown_ns, self._since_s = shown_ns, time.monotonic()

    def since(self, shown_ns: int) -> float:
        """Steady s."""
        if shown_ns != self._shown_ns:
            self._shown_ns, self._since_s = shown_ns, time.monotonic()
        return time.monotonic() - self._since_s
