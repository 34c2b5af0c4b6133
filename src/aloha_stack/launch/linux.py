"""The one thing that only Linux has: a signal for a process whose parent is gone."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h


def bind_to_parent(parent_pid: int, number: signal.Signals) -> Callable[[], None]:
    """A function, to be called in a fresh child, that has `number` sent to it when its parent dies.

    The C library is loaded here, before the fork. Where the parent is gone already the child ends.
    Elsewhere than on Linux the function does nothing.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)

    return bind
