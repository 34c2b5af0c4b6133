"""The packets of every cycle: one sync read of all states, one sync write of all goals.

dynamixel_sdk's groups rebuild their packets in each cycle, throw away every answer if one is
missing, and drop the alert bit. Here the request is built once, every answer counts on its own, and
what a servo says about its health is kept. The bytes on the wire are the same.
"""

import struct
import time
from collections.abc import Sequence

from aloha_stack.dynamixel.packets import (
    BROADCAST,
    HEADER,
    STATUS,
    SYNC_READ,
    SYNC_WRITE,
    crc16,
    instruction,
    packet,
    scan,
)
from aloha_stack.dynamixel.port import REPLY_TIMEOUT_MS, PollingPort

SILENCE_S = 0.008
"""A bus on which nothing was heard for so long after some answers has no more to say (measured:
3 ms gave 2 % spurious time-outs, 8 ms none)."""
START_S = REPLY_TIMEOUT_MS / 1000
"""How long the first answer may take: the adapter or the machine may be late, not a servo."""
QUIET_S = 0.0015
"""How long to listen on where nothing more is expected, but something went wrong."""
GIVEN_UP = 3
"""After so many readings without a sign of a servo, no time is spent on waiting for it."""

Answer = tuple[int, ...]
"""One servo's answer, raw: the status packet's error byte, then the registers of the window."""


class Window:
    """A stretch of a control table: its address, and what stands there as a struct format."""

    def __init__(self, address: int, layout: str) -> None:
        self.address = address
        self.size = struct.calcsize("<" + layout)
        self.unpack_from = struct.Struct("<B" + layout).unpack_from


STATE = Window(126, "hii")
"""Present current (126, 2 bytes), velocity (128, 4) and position (132, 4)."""


class SyncReader:
    """Reads one window of several servos with one request.

    After each read(), `damaged` names the servos that gave no good answer though something came.
    `reads` counts the calls, `missed` by ID those without a good answer.
    """

    def __init__(self, port: PollingPort, ids: Sequence[int], window: Window = STATE) -> None:
        self.port, self.ids, self.window = port, tuple(ids), window
        asked = struct.pack("<HH", window.address, window.size)
        self.request = instruction(BROADCAST, SYNC_READ, asked + bytes(self.ids))
        length = window.size + 4
        self._heads = [HEADER + bytes((i, length, 0, STATUS)) for i in self.ids]
        self._head_crcs = [crc16(head) for head in self._heads]
        self._answer_size = 7 + length
        self._burst_size = self._answer_size * len(self.ids)
        self._byte_s = port.tx_time_per_byte / 1000
        self.reads = 0
        self.missed = dict.fromkeys(self.ids, 0)
        self.damaged: tuple[int, ...] = ()

    def read(self) -> dict[int, Answer]:
        """One cycle: the good answers by servo ID. Raises PortLost."""
        self.reads += 1
        self.damaged = ()
        port = self.port
        port.clearPort()
        port.writePort(self.request)
        heard = bytearray()
        now = time.monotonic()
        deadline = now + (len(self.request) + self._answer_size) * self._byte_s + START_S
        while port.wait(deadline - now):
            heard += port.take()
            if len(heard) == self._burst_size and (answers := self._parse_burst(heard)):
                return answers
            if len(heard) >= self._answer_size:
                answers = parse_answers(bytes(heard), self.ids, self.window)
                if len(answers) == len(self.ids):
                    return answers
                if self.ids[-1] in answers:
                    break
            missing = max(0, self._burst_size - len(heard)) * self._byte_s
            if missing > 0.0005:
                time.sleep(min(missing - 0.0002, SILENCE_S / 2))
            now = time.monotonic()
            deadline = now + missing + SILENCE_S
        return self._incomplete(bytes(heard))

    def _incomplete(self, heard: bytes) -> dict[int, Answer]:
        answers = parse_answers(heard, self.ids, self.window)
        for servo_id in self.ids:
            if servo_id not in answers:
                self.missed[servo_id] += 1
        self.damaged = tuple(
            i for i in self.ids if i not in answers and HEADER + bytes((i,)) in heard
        )
        return answers

    def _parse_burst(self, burst: bytearray) -> dict[int, Answer] | None:
        """The answers of a burst in which all spoke in order and unstuffed; None of any other."""
        answers = {}
        start, size = 0, self._answer_size
        unpack_from = self.window.unpack_from
        for servo_id, head, head_crc in zip(self.ids, self._heads, self._head_crcs, strict=True):
            body, end = start + 8, start + size
            if burst[start:body] != head:
                return None
            crc = crc16(memoryview(burst)[body : end - 2], head_crc)
            if burst[end - 2] | burst[end - 1] << 8 != crc or burst[body] & 0x7F:
                return None
            answers[servo_id] = unpack_from(burst, body)
            start = end
        return answers


def parse_answers(heard: bytes, ids: Sequence[int], window: Window = STATE) -> dict[int, Answer]:
    """The good answers in `heard`, by ID; noise, foreign and damaged packets are left out."""
    answers = {}
    for frame in scan(heard)[0]:
        body = frame.body
        if not frame.intact or len(body) != window.size + 2 or body[0] != STATUS:
            continue
        if frame.id in ids and not body[1] & 0x7F:
            answers[frame.id] = window.unpack_from(body, 1)
    return answers


class SyncWriter:
    """Writes one register of several servos with one packet; no servo answers to it."""

    def __init__(self, port: PollingPort, ids: Sequence[int], address: int, layout: str) -> None:
        self.port, self.ids = port, tuple(ids)
        self._one = struct.Struct("<B" + layout)
        self._head = bytes((SYNC_WRITE,)) + struct.pack("<HH", address, self._one.size - 1)

    def write(self, values: Sequence[int]) -> None:
        """Sends one value per servo, in the order of the IDs. Raises PortLost."""
        each = map(self._one.pack, self.ids, values)
        self.port.writePort(packet(BROADCAST, self._head + b"".join(each)))


def goal_writer(port: PollingPort, ids: Sequence[int]) -> SyncWriter:
    """Writes goal positions (116, 4 bytes), ticks."""
    return SyncWriter(port, ids, 116, "i")


def current_writer(port: PollingPort, ids: Sequence[int]) -> SyncWriter:
    """Writes goal currents (102, 2 bytes), 2.69 mA."""
    return SyncWriter(port, ids, 102, "h")
