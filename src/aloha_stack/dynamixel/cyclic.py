"""The packets of every cycle: one sync read of all states, one sync write of all goals.

dynamixel_sdk's groups rebuild their packets in each cycle, throw away every answer if one is
missing, and drop the alert bit. Here the request is built once, every answer counts on its own, and
what a servo says about its health is kept. The bytes on the wire are the same.
"""

import struct
import time
from collections.abc import Sequence

from aloha_stack.dynamixel.answers import Answer, BurstParser, Found, Window
from aloha_stack.dynamixel.packets import (
    BROADCAST,
    HEADER,
    SYNC_READ,
    SYNC_WRITE,
    instruction,
    packet,
)
from aloha_stack.dynamixel.patience import QUIET_S, SILENCE_S, START_S, Patience
from aloha_stack.dynamixel.port import PollingPort

STATE = Window(126, "hii")
"""Present current (126, 2 bytes), velocity (128, 4) and position (132, 4), in one stretch."""

LIMIT_S = 0.1
"""A line that never falls silent is left alone after so long."""


class SyncReader:
    """Reads one window of several servos with one request.

    After each read() `damaged` names the servos that gave no good answer though something came from
    them. `reads` counts the calls, `missed` by ID those without a good answer.
    """

    def __init__(
        self,
        port: PollingPort,
        ids: Sequence[int],
        window: Window = STATE,
        patience: Patience | None = None,
    ) -> None:
        self.port, self.ids, self.window = port, tuple(ids), window
        self.patience = Patience() if patience is None else patience
        asked = struct.pack("<HH", window.address, window.size)
        self.request = instruction(BROADCAST, SYNC_READ, asked + bytes(self.ids))
        self.reads = 0
        self.missed = dict.fromkeys(self.ids, 0)
        self.damaged: tuple[int, ...] = ()
        self._parser = BurstParser(self.ids, window)
        self._last_mark = HEADER + bytes((self.ids[-1],))

    def read(self) -> dict[int, Answer]:
        """One cycle: the good answers by servo ID. Raises PortLost.

        Returns as soon as all have answered. If somebody is missing it listens on until the line is
        quiet, so that the next request does not meet the rest of these answers.
        """
        self.reads += 1
        self.damaged = ()
        port, answer_size, slack_s = self.port, self.window.answer_size, self.patience.slack_s
        given_up = self.patience.given_up(self.ids)
        due = answer_size * (len(self.ids) - len(given_up))
        byte_s = port.tx_time_per_byte / 1000
        port.clearPort()
        port.writePort(self.request)
        heard = bytearray()
        now = time.monotonic()
        deadline = now + (len(self.request) + answer_size) * byte_s + slack_s
        deadline += START_S if due else SILENCE_S
        limit = deadline + due * byte_s + LIMIT_S
        while port.wait(min(deadline, limit) - now):
            heard += port.take()
            if (answers := self._parser.parse(heard)) and self._is_all():
                self.patience.uneasy = False
                self.patience.heard(self.ids)
                return answers
            now = time.monotonic()
            rest_s = (due - len(heard)) * byte_s
            if rest_s > 0 and not self._last_spoke(heard):
                deadline = now + rest_s + SILENCE_S + slack_s
                if rest_s > 0.0005:
                    time.sleep(min(rest_s - 0.0002, SILENCE_S / 2))
                    now = time.monotonic()
                continue
            found = self._parser.search(bytes(heard))
            if self._is_over(found, given_up) and self._is_all():
                break
            deadline = now + QUIET_S + slack_s  # who is missing should have spoken by now
        else:
            found = self._parser.search(bytes(heard))
        return self._note(found, given_up)

    def _is_all(self) -> bool:
        """Whether nothing comes after what was heard, if that may be a late answer only."""
        patience = self.patience
        return not (patience.uneasy and self.port.wait(QUIET_S + patience.slack_s))

    def _last_spoke(self, heard: bytearray) -> bool:
        at = heard.rfind(self._last_mark)
        return at >= 0 and len(heard) - at >= self.window.answer_size

    def _is_over(self, found: Found, given_up: frozenset[int]) -> bool:
        """Whether all answered from whom an answer is awaited, the last of the request too."""
        answers = found.answers
        return self.ids[-1] in answers and all(i in answers or i in given_up for i in self.ids)

    def _note(self, found: Found, given_up: frozenset[int]) -> dict[int, Answer]:
        self.damaged = found.damaged
        silent = []
        for servo_id in self.ids:
            if servo_id not in found.answers:
                self.missed[servo_id] += 1
                if servo_id not in found.damaged:
                    silent.append(servo_id)
        self.patience.uneasy = not given_up.issuperset(silent) or bool(found.damaged)
        self.patience.heard((*found.answers, *found.damaged))
        self.patience.silent(silent)
        return found.answers


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
    """Writes goal positions (116, 4 bytes), in ticks."""
    return SyncWriter(port, ids, 116, "i")


def current_writer(port: PollingPort, ids: Sequence[int]) -> SyncWriter:
    """Writes goal currents (102, 2 bytes), in 2.69 mA."""
    return SyncWriter(port, ids, 102, "h")
