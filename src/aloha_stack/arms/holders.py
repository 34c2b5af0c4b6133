"""Which processes have a serial port open: whom to ask when it is busy."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
BRIDGE = "arm_bridge"
SHOWN = 70


@dataclass(frozen=True)
class Holder:
    """A process that has the port open; `command` is its command line."""

    pid: int
    command: str

    @property
    def is_bridge(self) -> bool:
        return BRIDGE in self.command

    def __str__(self) -> str:
        what = "an arm bridge" if self.is_bridge else self.command[:SHOWN]
        return f"{what} (process {self.pid})"


def holders(port: str, proc: Path = PROC) -> tuple[Holder, ...]:
    """The other processes that have `port` open, as far as this user may see."""
    device = os.path.realpath(port)
    return tuple(
        Holder(pid, _command(proc / str(pid)))
        for pid in _processes(proc)
        if pid != os.getpid() and device in _open_files(proc / str(pid))
    )


def _processes(proc: Path) -> list[int]:
    return sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())


def _open_files(process: Path) -> Iterator[str]:
    try:
        for descriptor in (process / "fd").iterdir():
            yield os.readlink(descriptor)
    except OSError:  # it ended meanwhile, or belongs to another user
        return


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "?"
    return " ".join(word.decode(errors="replace") for word in words if word)
