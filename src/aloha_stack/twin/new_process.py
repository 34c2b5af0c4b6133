"""What a process for episodes does first.

Before it imports anything of weight, for a network's libraries read their settings then: so nothing
of the kind is imported here.
"""

import multiprocessing
import os
import signal
import threading

ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Sums of a network depend on how many threads share them; one each also makes the most of cores
that all have an episode to do. Software rendering, too: its threads get into each other's way."""


def prepare(jobs: int) -> None:
    """One thread for a network, and for software rendering a share of the cores among `jobs`; ends
    quietly on Ctrl-C, and when the process that it works for is gone."""
    os.environ.update(ALONE)
    os.environ.setdefault("LP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
