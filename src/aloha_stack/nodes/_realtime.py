"""Real-time priority for a whole process, so that what it ticks comes in time on a busy machine."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from rclpy.node import Node

from aloha_stack.nodes._parameters import declare

PRIORITY = 40
"""Below the kernel's own interrupts (50): what brings the messages comes first."""


def declare_priority(node: Node) -> int:
    """The parameter of nodes whose process `run` is to put first."""
    return declare(
        node,
        "realtime_priority",
        PRIORITY,
        "SCHED_FIFO's for this process, where the system allows it; 0: as all others",
        (0, 98),
    )


def come_first(priority: int, logger: Any) -> None:
    """All threads of this process, and those that they start, before all that has no priority.

    A processor that computes gives itself to another ordinary thread at its timer's next tick
    (4 ms at 250 Hz); to one with priority at once. All threads, for one that waits for another's
    lock comes no sooner than that. The kernel keeps 5 % for the others, should one never sleep.
    """
    if not priority:
        return
    try:
        for task in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:  # not permitted; or, in some containers, not known
        logger.info(
            f"no real-time priority ({error.strerror}): on a busy machine ticks may be "
            f"some ms late; the line '@dialout - rtprio {priority}' in "
            "/etc/security/limits.d/aloha.conf allows it, where the system knows of it"
        )
