"""When the whole machine stood still: for tests of several processes, which share its clock."""

import threading
import time

STOOD_STILL_NS = 250_000_000
"""A thread with nothing to do does not run for so long: then nothing else does."""


class Standstills:
    """Noted while the block runs; ns of the machine's clock."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Standstills":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def within(self, begin_ns: int, end_ns: int) -> int:
        """For how long of this time it stood still, ns."""
        return sum(max(0, min(end_ns, b) - max(begin_ns, a)) for a, b in self._spans)

    @property
    def total_s(self) -> float:
        return sum(b - a for a, b in self._spans) * 1e-9

    def _watch(self) -> None:
        seen_ns = time.time_ns()
        while not self._end.wait(0.01):
            now_ns = time.time_ns()
            if now_ns - seen_ns > STOOD_STILL_NS:
                self._spans.append((seen_ns, now_ns))
            seen_ns = now_ns
