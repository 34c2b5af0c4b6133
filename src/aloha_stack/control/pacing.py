"""Ticks at absolute deadlines: a late tick does not move the ones after it."""

from collections.abc import Callable


class Pacer:
    """Counts ticks of `period_s` on a clock that is handed in, in integer nanoseconds.

    `sleep_until(deadline_ns)` returns True once the deadline is reached and False if it was woken
    before. Deadlines are start + k * period: they do not drift. A tick that comes late by a whole
    period or more is an overrun; the ticks that were missed are left out, not made up for.
    `jumps` counts how often the clock ran backwards (a simulation was reset): the deadlines then
    start anew.
    """

    def __init__(
        self,
        period_s: float,
        now_ns: Callable[[], int],
        sleep_until: Callable[[int], bool],
    ) -> None:
        self.period_ns = round(period_s * 1e9)
        if self.period_ns <= 0:
            raise ValueError(f"period_s is {period_s}; expected more than 0")
        self._now_ns, self._sleep_until = now_ns, sleep_until
        self.ticks = self.overruns = self.jumps = 0
        self.start()

    def start(self) -> None:
        """The first deadline is one period from now."""
        self.deadline_ns = self._now_ns() + self.period_ns

    def wait(self) -> bool:
        """Sleeps until the next deadline: True when a tick is due, False when woken before.

        After a backward jump the next deadline is one period from the new now.
        """
        if self._jumped(self._now_ns()):  # before the deadline is slept for, which is far away now
            return False
        reached = self._sleep_until(self.deadline_ns)
        now = self._now_ns()
        if self._jumped(now):
            return False
        if not reached:
            return False
        missed = (now - self.deadline_ns) // self.period_ns
        self.overruns += missed > 0
        self.ticks += 1
        self.deadline_ns += (missed + 1) * self.period_ns
        return True

    def _jumped(self, now_ns: int) -> bool:
        """Whether the clock ran backwards since the last deadline; starts anew then."""
        if now_ns >= self.deadline_ns - self.period_ns:
            return False
        self.jumps += 1
        self.start()
        return True
