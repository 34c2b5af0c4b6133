"""Work that other threads hand to the one thread that may touch a bus, or a world."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any


class Refused(RuntimeError):
    """What was asked for is not done; the message says why, and what to do."""


class Jobs:
    """A queue of jobs for one thread, its owner, who calls open(), serve() again and again, and,
    whatever happens, close().

    Errors of the `expected` types concern only who asked. Any other is refused to who asked, and
    goes on in the owner. `wake` is called when there is something to serve.
    """

    def __init__(
        self,
        closed: str,
        expected: tuple[type[Exception], ...] = (),
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._closed, self._wake = closed, wake
        self._expected: tuple[type[Exception], ...] = (Refused, *expected)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def ask(self, job: Callable[[], Any], limit_s: float) -> Any:
        """Has `job` done by the owner; its result, or what it raises.

        Refused if there is no owner, if it ends before, or if it has no time for `limit_s`.
        """
        future = Future[Any]()
        with self._lock:
            if self._closed:
                raise Refused(self._closed)
            self._waiting.append((job, future))
        self._wake()
        if not wait([future], limit_s).done and future.cancel():
            raise Refused(f"there was no time for it in {limit_s:g} s; try again")
        return future.result()

    def open(self) -> None:
        """From now on there is somebody who serves."""
        with self._lock:
            self._closed = ""

    def serve(self) -> None:
        """Does what is waiting; for the owner, between two of its own steps."""
        while self._waiting:
            job, future = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job()
            except self._expected as error:
                future.set_exception(error)
            except Exception as error:
                future.set_exception(Refused(f"it has failed: {error!r}; see the log"))
                raise
            else:
                future.set_result(result)

    def close(self, why: str) -> None:
        """Refuses what is waiting, and what comes, until open()."""
        with self._lock:
            self._closed = why
            while self._waiting:
                _, future = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    future.set_exception(Refused(why))
