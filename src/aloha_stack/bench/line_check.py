"""Is the emulated line as slow as a real one? Asked with plain system calls, past all our drivers.

A figure near the wire limit means nothing if the line itself is too fast. So the time from writing
a request to the arrival of the last byte of its answers is compared with the bytes' own time.
"""

import os
import select
import time
import tty
from dataclasses import dataclass

from aloha_stack.bench.wire_limit import ALL, WireLimit, sync_read_bytes
from aloha_stack.dynamixel.packets import BROADCAST, SYNC_READ, instruction
from aloha_stack.robot.description import Arm

WINDOW = (126, 21)
PAUSE_S = 0.004
"""Between two requests, so that each finds a free line; without it the line is kept full."""


@dataclass(frozen=True)
class LineCheck:
    """Round trips over their bytes' time on the wire (1 = the line's own speed), and lateness."""

    fastest: float
    bytes_per_s: float
    """On a line that is never idle."""
    lateness_s: tuple[float, ...]
    """By how much the last byte of each answer came later than on an ideal line, sorted."""


def check_line(arm: Arm, requests: int) -> LineCheck:
    """Times `requests` sync reads of all nine servos, and as many in a row without a pause."""
    ids = bytes(servo.id for servo in arm.servos)
    window = b"".join(part.to_bytes(2, "little") for part in WINDOW)
    request = instruction(BROADCAST, SYNC_READ, window + ids)
    size = sync_read_bytes(ALL, WINDOW[1])
    wire_s = size * WireLimit(arm.baud).byte_s
    fd = os.open(arm.port, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(fd)
        trips = []
        for _ in range(requests):
            time.sleep(PAUSE_S)
            began_s = time.perf_counter()
            os.write(fd, request)
            _take(fd, size - len(request))
            trips.append(time.perf_counter() - began_s)
        began_s = time.perf_counter()
        os.write(fd, request)
        for left in range(requests, 0, -1):
            # The next request is there before the answer to this one has passed.
            if left > 1:
                os.write(fd, request)
            _take(fd, size - len(request))
        rate = requests * size / (time.perf_counter() - began_s)
    finally:
        os.close(fd)
    return LineCheck(
        fastest=min(trips) / wire_s,
        bytes_per_s=rate,
        lateness_s=tuple(sorted(trip - wire_s for trip in trips)),
    )


def _take(fd: int, size: int) -> None:
    while size > 0:
        if not select.select([fd], (), (), 1.0)[0]:
            raise RuntimeError("the emulated line fell silent in its check")
        size -= len(os.read(fd, size))
