"""Is the emulated line as slow as a real one? Asked with plain system calls, past all our drivers.

A figure near the wire limit means nothing if the line itself is too fast. So the time from writing
a request to the arrival of the last byte of its answers is compared with the bytes' own time. Who
asks does not sleep: what is measured is the line.
"""

import os
import time
import tty
from dataclasses import dataclass

from aloha_stack.bench.wire_limit import ALL, WireLimit, sync_read_bytes
from aloha_stack.dynamixel.packets import BROADCAST, SYNC_READ, instruction
from aloha_stack.robot.description import Arm

WINDOW = (126, 21)
PAUSE_S = 0.004
"""Between two requests, so that each finds a free line; without it the line is kept full."""

SILENCE_S = 2.0


@dataclass(frozen=True)
class LineCheck:
    """What a line does to a request and its answers.

    late_s: by how much the last byte of each answer came later than on an ideal line, sorted.
    fastest: the fastest round trip over its bytes' time on the wire, never below 1 on metal.
    bytes_per_s: on a line that is never idle.
    """

    late_s: tuple[float, ...]
    fastest: float
    bytes_per_s: float


def check_line(arm: Arm, requests: int) -> LineCheck:
    """Times `requests` sync reads of all nine servos, and as many in a row without a pause."""
    ids = bytes(servo.id for servo in arm.servos)
    window = b"".join(part.to_bytes(2, "little") for part in WINDOW)
    request = instruction(BROADCAST, SYNC_READ, window + ids)
    answers = sync_read_bytes(ALL, WINDOW[1]) - len(request)
    wire_s = (len(request) + answers) * WireLimit(arm.baud).byte_s
    fd = os.open(arm.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(fd)
        trips = []
        for _ in range(requests):
            time.sleep(PAUSE_S)
            began_s = time.perf_counter()
            os.write(fd, request)
            _take(fd, answers)
            trips.append(time.perf_counter() - began_s)
        began_s = time.perf_counter()
        os.write(fd, request)
        for left in range(requests, 0, -1):
            # The next request is there before the answer to this one has passed.
            if left > 1:
                os.write(fd, request)
            _take(fd, answers)
        full_s = time.perf_counter() - began_s
    finally:
        os.close(fd)
    late_s = tuple(sorted(trip - wire_s for trip in trips))
    return LineCheck(late_s, min(trips) / wire_s, requests * (len(request) + answers) / full_s)


def _take(fd: int, size: int) -> None:
    until_s = time.perf_counter() + SILENCE_S
    while size > 0:
        try:
            size -= len(os.read(fd, size))
        except BlockingIOError:
            if time.perf_counter() > until_s:
                raise RuntimeError("the emulated line fell silent in its check") from None
            os.sched_yield()
