"""Takes back what an encoder does to the scheduler.

SVT-AV1, where it may (as root), gives its threads and the one that opens it real-time priority 99:
every process that is started from then on inherits it, and a loop in one of them that waits for a
lock leaves no processor to whoever holds it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def as_before() -> Iterator[None]:
    """At the end every thread of this process is scheduled as the calling one was at the begin."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for task in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended meanwhile
                if os.sched_getscheduler(int(task.name)) != policy:
                    os.sched_setscheduler(int(task.name), policy, parameters)
