"""The time that bytes take on a serial line: half duplex, ten bits a byte (8N1)."""

import math
from collections import deque

BITS_PER_BYTE = 10


class Wire:
    """A line at `baud`, with the host at one end and the servos at the other.

    Either end talks only while the line is free: bytes of the host wait in its adapter until then,
    and an answer begins as soon as the request has passed (Return Delay Time 0, as the robot file
    sets it). Times are in any one clock, s. `slowness` stretches all that is said from now on; 0 is
    a line without wire time.
    """

    def __init__(self, baud: int, slowness: float = 1.0) -> None:
        self._byte_s = BITS_PER_BYTE / baud
        self.slowness = slowness
        self._free_s = -math.inf
        self._answers: deque[tuple[float, float, bytes]] = deque()

    def ask(self, now_s: float, size: int) -> None:
        """The host writes `size` bytes at `now_s`."""
        self._free_s = max(self._free_s, now_s) + size * self._byte_s * self.slowness

    def answer(self, data: bytes) -> None:
        """The servos answer with `data`, after all that has been said."""
        if data:
            byte_s = self._byte_s * self.slowness
            self._answers.append((self._free_s, byte_s, data))
            self._free_s += len(data) * byte_s

    @property
    def due_s(self) -> float:
        """When the answer that is under way will have arrived whole; infinite if none is."""
        if not self._answers:
            return math.inf
        start_s, byte_s, data = self._answers[0]
        return start_s + len(data) * byte_s

    def arrived(self, now_s: float) -> bytes:
        """The bytes that have reached the host by `now_s` and were not taken yet."""
        taken = b""
        while self._answers:
            start_s, byte_s, data = self._answers[0]
            # A nanosecond of grace: what is due now is there now, whatever floats say.
            elapsed_s = now_s + 1e-9 - start_s
            if elapsed_s >= len(data) * byte_s:
                count = len(data)
            else:
                count = int(elapsed_s / byte_s) if elapsed_s > 0.0 else 0
            taken += data[:count]
            if count < len(data):
                if count:
                    self._answers[0] = (start_s + count * byte_s, byte_s, data[count:])
                break
            self._answers.popleft()
        return taken

    def forget(self) -> None:
        """Nobody listens any more: what is under way is lost."""
        self._answers.clear()
        self._free_s = -math.inf
