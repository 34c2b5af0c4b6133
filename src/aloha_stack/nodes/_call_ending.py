"""What asks `./aloha call` to end: a signal, or that nobody reads any more what it prints."""

import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any


class Stopped(Exception):
    """It was asked to end while nothing was to be cancelled."""


class Ending:
    """Within it signals do no more than set `number`; the first counts, 0: none came."""

    number = 0

    def __enter__(self) -> "Ending":
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
            numbers.append(signal.SIGHUP)
        self._before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._on_signal) for number in numbers
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def status(self) -> int:
        """The exit status of a process that ends by that signal."""
        return 128 + self.number

    def check(self) -> None:
        """Raises Stopped if it was asked to end."""
        if self.number:
            raise Stopped

    def say(self, text: str) -> None:
        """Prints a line. Where nobody can read it (a terminal that is gone, `| head`) that asks for
        the end as SIGPIPE does."""
        try:
            print(text, flush=True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._on_signal(signal.SIGPIPE, None)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number
