"""A clock for tests within one process: it goes on only while the process runs.

A shared machine may stand still for a second, with everything on it, or have other things to do.
Who watches that an answer or a heartbeat comes in time rightly complains then; but a test is about
what it does to its nodes, and not about the machine.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from unittest.mock import patch

from aloha_stack.dynamixel.port import PollingPort

LOOK_S = 0.004
"""So often the clock is looked at."""
STEP_NS = 5_000_000
"""No more passes from one look to the next: the other threads, too, hardly had a turn meanwhile."""


class Unstalled:
    """The clock `steady_ns`, less what passed between two looks beyond STEP_NS."""

    def __init__(self, steady_ns: Callable[[], int]) -> None:
        self._steady_ns, self._lock, self._step_ns = steady_ns, threading.RLock(), STEP_NS
        self._seen_ns = self._shown_ns = self._told_ns = steady_ns()

    def monotonic_ns(self) -> int:
        with self._lock:
            now_ns = self._shown_ns + min(self._step_ns, self._steady_ns() - self._seen_ns)
            self._told_ns = max(now_ns, self._told_ns + 1)  # whatever is measured takes time
            return self._told_ns

    def look(self) -> None:
        with self._lock:
            now_ns = self._steady_ns()
            self._shown_ns += min(self._step_ns, now_ns - self._seen_ns)
            self._seen_ns = now_ns

    def leave(self) -> None:
        """Nobody looks any more: it goes on as the steady clock does, for whoever still has it."""
        self.look()
        self._step_ns = sys.maxsize


@contextlib.contextmanager
def unstalled() -> Iterator[None]:
    """Has the module `time` show such time, and sleep it, as do waits for bytes of servos.

    No other process may compare its stamps with those made here. May be nested.
    """
    if hasattr(time.monotonic_ns, "__self__") and isinstance(time.monotonic_ns.__self__, Unstalled):
        yield
        return
    clock, sleep = Unstalled(time.monotonic_ns), time.sleep
    ahead_ns = time.time_ns() - time.monotonic_ns()
    end = threading.Event()

    def look() -> None:
        while not end.wait(LOOK_S):
            clock.look()

    def sleep_unstalled(seconds: float) -> None:
        end_ns = clock.monotonic_ns() + round(seconds * 1e9)
        sleep(seconds)
        while (left_ns := end_ns - clock.monotonic_ns()) > 0:
            sleep(left_ns * 1e-9)

    wait_for_bytes = PollingPort.wait

    def wait_unstalled(port: PollingPort, timeout_s: float) -> bool:
        end_s = time.monotonic() + timeout_s
        while not wait_for_bytes(port, end_s - time.monotonic()):
            if time.monotonic() >= end_s:
                return False
        return True

    looker = threading.Thread(target=look)
    looker.start()
    try:
        with (
            patch.object(PollingPort, "wait", wait_unstalled),
            patch.multiple(
                time,
                monotonic_ns=clock.monotonic_ns,
                monotonic=lambda: clock.monotonic_ns() * 1e-9,
                time_ns=lambda: clock.monotonic_ns() + ahead_ns,
                time=lambda: (clock.monotonic_ns() + ahead_ns) * 1e-9,
                sleep=sleep_unstalled,
            ),
        ):
            yield
    finally:
        end.set()
        looker.join()
        clock.leave()
