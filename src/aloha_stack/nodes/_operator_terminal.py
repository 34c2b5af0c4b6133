"""The operator's terminal: keys as they are pressed, one screen that is written over in place."""

import codecs
import os
import re
import select
import shutil
import sys
import termios
import tty
from collections.abc import Sequence

OPEN_SCREEN = "\x1b[?1049h\x1b[?25l"  # xterm: the alternate screen, no cursor
CLOSE_SCREEN = "\x1b[?25h\x1b[?1049l"
HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
STYLES = {"": "", "bold": "\x1b[1m", "bad": "\x1b[1;31m", "good": "\x1b[32m", "dim": "\x1b[2m"}
PLAIN = "\x1b[0m"

SEQUENCE = re.compile(r"\x1b(\[\[[A-E]|\[[0-?]*[ -/]*[@-Z\\-df-~]|O[A-Zj-y])")
"""What arrows and function keys send (ECMA-48 CSI and SS3, and F1 to F5 of the Linux console): its
letters are no keys. None ends in a small e, so that an `e` is one whatever was pressed before it.
"""

PART = re.compile(r"\x1b(\[\[?[0-?]*[ -/]*|O)?\Z")
"""The beginning of one, at the end of what was read: the rest may be under way."""

CLOSE_S = 0.5
"""Steady time for which a terminal is waited for at the end."""

Line = tuple[str, str]
"""A line of the screen: its style, one of STYLES, and its text."""


class Terminal:
    """Standard input and output. Leaving it puts the terminal back as it was found."""

    def __init__(self) -> None:
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self.screen = os.isatty(self._out)
        self._found: list[object] | None = None
        self._shown = False
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._part = ""

    def __enter__(self) -> "Terminal":
        return self

    def open(self) -> None:
        """Keys come one by one from now on, and the screen is ours."""
        if os.isatty(self._in):
            self._found = termios.tcgetattr(self._in)
            tty.setcbreak(self._in)
            # Ctrl-Z and Ctrl-S would leave a tool that does not hear its keys.
            mode = termios.tcgetattr(self._in)
            mode[0] &= ~(termios.IXON | termios.IXOFF)
            mode[6][termios.VSUSP] = b"\x00"
            termios.tcsetattr(self._in, termios.TCSADRAIN, mode)
        if self.screen:
            self._shown = True
            self._write(OPEN_SCREEN)

    def __exit__(self, *_: object) -> None:
        if self._found is not None:
            termios.tcsetattr(self._in, termios.TCSANOW, self._found)  # type: ignore[arg-type]
            self._found = None
        # A terminal that takes nothing (its window hangs, Ctrl-S) must not hold the process.
        if self._shown and select.select([], [self._out], [], CLOSE_S)[1]:
            self._write(CLOSE_SCREEN)
        self._shown = False

    def keys(self, timeout_s: float) -> str | None:
        """What was pressed within the time, perhaps nothing; None once the input has ended.

        Bytes that are no UTF-8 are nothing. An ESC comes once nothing has followed it in the time.
        """
        if not select.select([self._in], [], [], timeout_s)[0]:
            part, self._part = self._part, ""
            return part
        try:
            data = os.read(self._in, 64)
        except OSError:  # the terminal is gone
            return None
        if not data:
            return None
        text = SEQUENCE.sub("", self._part + self._decoder.decode(data))
        found = PART.search(text)
        self._part = found[0] if found else ""
        return text.removesuffix(self._part)

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        size = shutil.get_terminal_size((80, 24))
        return size.columns, size.lines

    def show(self, lines: Sequence[Line]) -> None:
        """Writes the screen over with these lines."""
        rows = [f"{STYLES[style]}{text}{PLAIN}{CLEAR_LINE}" for style, text in lines]
        self._write(HOME + "\r\n".join(rows) + CLEAR_REST)

    def say(self, text: str) -> None:
        """One line, where there is no screen."""
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        data = text.encode(errors="replace")
        while data:
            data = data[os.write(self._out, data) :]
