"""The two packets of every cycle: one sync read of all states, one sync write of all goals.

dynamixel_sdk's groups rebuild their packets in each cycle, throw away every answer if one is
missing, and drop the alert bit. Here the request is built once, every answer counts on its own, and
what a servo says about its health is kept. The bytes on the wire are the same.
"""

import struct
import time
from collections.abc import Sequence
from typing import NamedTuple

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

STATE_ADDRESS, STATE_SIZE = 126, 10
"""Present current (126, 2 bytes), velocity (128, 4) and position (132, 4), in one stretch."""
GOAL_ADDRESS, GOAL_SIZE = 116, 4

SILENCE_S = 0.008
"""A bus on which nothing was heard for so long after some answers has no more to say (measured:
3 ms gave 2 % spurious time-outs, 8 ms none)."""
START_S = REPLY_TIMEOUT_MS / 1000
"""How long the first answer may take: the adapter or the machine may be late, not a servo."""

_STATE = struct.Struct("<xhii")
_GOAL = struct.Struct("<Bi")


class ServoState(NamedTuple):
    """One servo's answer, raw: the status packet's error byte and the three registers."""

    error: int
    current: int
    velocity: int
    position: int


class StateReader:
    """Reads current, velocity and position of several servos with one request."""

    def __init__(self, port: PollingPort, ids: Sequence[int]) -> None:
        self.port, self.ids = port, tuple(ids)
        window = struct.pack("<HH", STATE_ADDRESS, STATE_SIZE)
        self.request = instruction(BROADCAST, SYNC_READ, window + bytes(self.ids))
        length = STATE_SIZE + 4
        self._heads = [HEADER + bytes((i, length, 0, STATUS)) for i in self.ids]
        self._head_crcs = [crc16(head) for head in self._heads]
        self._answer_size = 7 + length
        self._burst_size = self._answer_size * len(self.ids)
        self._byte_s = port.tx_time_per_byte / 1000

    def read(self) -> dict[int, ServoState]:
        """One cycle: the answers by servo ID, in the order of their arrival.

        A servo that is silent, or whose answer has a wrong checksum, is not in it. Raises PortLost.
        """
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
                answers = parse_states(bytes(heard), self.ids)
                if self.ids[-1] in answers or len(answers) == len(self.ids):
                    return answers
            missing = max(0, self._burst_size - len(heard)) * self._byte_s
            if missing > 0.0005:
                time.sleep(min(missing - 0.0002, SILENCE_S / 2))
            now = time.monotonic()
            deadline = now + missing + SILENCE_S
        return parse_states(bytes(heard), self.ids)

    def _parse_burst(self, burst: bytearray) -> dict[int, ServoState] | None:
        """The answers of a burst in which all spoke in order and unstuffed; None of any other."""
        answers = {}
        start, size = 0, self._answer_size
        for servo_id, head, head_crc in zip(self.ids, self._heads, self._head_crcs, strict=True):
            body, end = start + 8, start + size
            if burst[start:body] != head:
                return None
            crc = crc16(memoryview(burst)[body : end - 2], head_crc)
            if burst[end - 2] | burst[end - 1] << 8 != crc or burst[body] & 0x7F:
                return None
            answers[servo_id] = ServoState(burst[body], *_STATE.unpack_from(burst, body))
            start = end
        return answers


def parse_states(heard: bytes, ids: Sequence[int]) -> dict[int, ServoState]:
    """The states in `heard`, by ID; noise, foreign packets and damaged answers are left out."""
    answers = {}
    for frame in scan(heard)[0]:
        body = frame.body
        if not frame.intact or len(body) != STATE_SIZE + 2 or body[0] != STATUS:
            continue
        if frame.id in ids and not body[1] & 0x7F:
            answers[frame.id] = ServoState(body[1], *_STATE.unpack_from(body, 1))
    return answers


class GoalWriter:
    """Writes the goal positions of several servos with one packet; no servo answers to it."""

    def __init__(self, port: PollingPort, ids: Sequence[int]) -> None:
        self.port, self.ids = port, tuple(ids)
        self._head = bytes((SYNC_WRITE,)) + struct.pack("<HH", GOAL_ADDRESS, GOAL_SIZE)

    def write(self, ticks: Sequence[int]) -> None:
        """Sends one goal per servo, in ticks, in the order of the IDs. Raises PortLost."""
        goals = map(_GOAL.pack, self.ids, ticks)
        self.port.writePort(packet(BROADCAST, self._head + b"".join(goals)))
