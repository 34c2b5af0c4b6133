"""Puts the lines of all processes on one output, each with its process's name before it.

Nothing here waits for the reader: a terminal that is held (Ctrl-S) or a slow pipe must not stall
the nodes that write. What cannot be written yet is kept, and nothing is dropped until the output is
closed.
"""

import os
import select

_CHUNK = select.PIPE_BUF
"""As much as a pipe that polls writable takes without blocking (pipe(7))."""

_MAX_LINE = 65536
"""A line longer than this is shown in pieces, so that a process without line ends is seen."""

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)  # ANSI foreground colours, red left for nobody


class Screen:
    """The output, open as file `descriptor`; `waiting` is what is still to be written."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.colour = os.isatty(descriptor)
        self.waiting = bytearray()
        self.closed = False

    def say(self, text: str) -> None:
        """One line from the launcher itself."""
        self.line("launch", text.encode(), None)

    def line(self, label: str, text: bytes, index: int | None) -> None:
        """One line of the process `label`; `index` chooses its colour."""
        prefix = f"[{label}]"
        if self.colour:
            colour = 1 if index is None else _COLOURS[index % len(_COLOURS)]
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        self.waiting += prefix.encode() + b" " + text + b"\n"

    def write_some(self) -> None:
        """Writes one chunk; to be called when the descriptor polls writable."""
        try:
            written = os.write(self.descriptor, self.waiting[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:  # closed by its reader: nobody is left to be shown anything
            self.closed = True
            written = len(self.waiting)
        del self.waiting[:written]
        if self.closed:
            self.waiting.clear()


class LineBuffer:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [line.removesuffix(b"\r") for line in lines]

    def flush(self) -> list[bytes]:
        """What is left without a line end, when the stream has ended."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
