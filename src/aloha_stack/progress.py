"""What a person sees while something takes its time: one live line on a terminal, else a few."""

import sys
import time
from typing import TextIO

PLAIN_S = 5.0
"""Time between two lines where there is no terminal to redraw one on."""
SAME_S = 60.0
"""Time between two that say the same."""

BAR = 24

QUIET_S = 1.5
"""What is done sooner needs no progress line."""


class Progress:
    """A status line. `say` for a lasting line, `show` for the live one."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._width = 0
        self._shown, self._shown_s = "", -float("inf")

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        print(text, file=self._out, flush=True)
        self._shown_s = -float("inf")

    def show(self, text: str, fraction: float | None = None) -> None:
        """The live line, with a bar if `fraction` (0 … 1) is given."""
        if fraction is not None:
            done = round(BAR * min(max(fraction, 0.0), 1.0))
            text = f"[{'█' * done}{'·' * (BAR - done)}] {text}"
        now = time.monotonic()
        if self._live:
            self.clear()
            self._out.write(f"  {text}")
            self._width = len(text) + 2
            self._out.flush()
        elif now - self._shown_s >= (SAME_S if text == self._shown else PLAIN_S):
            print(f"  {text}", file=self._out, flush=True)
            self._shown, self._shown_s = text, now

    def clear(self) -> None:
        """Takes the live line away."""
        if self._width:
            self._out.write("\r" + " " * self._width + "\r")
            self._width = 0


class ProgressOf:
    """Progress over `total` things on stderr, shown only once it has taken a while."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._began_s = time.monotonic()
        self._progress = Progress(sys.stderr)

    def tell(self, index: int, name: str, part: float = 0.0) -> None:
        """Thing `index` (from 0), of that name, is done to `part` (0 … 1)."""
        if time.monotonic() - self._began_s >= QUIET_S:
            fraction = (index + part) / self._total
            self._progress.show(f"{name}, {index + 1} of {self._total}", fraction)

    def done(self) -> None:
        """Takes the line away."""
        self._progress.clear()


def duration(seconds: float) -> str:
    """In minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
