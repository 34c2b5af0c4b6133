"""The packets of every cycle: one sync read of all states, one sync write of all goals.

dynamixel_sdk's groups rebuild their packets in each cycle, throw away every answer if one is
missing, and drop the alert bit. Here the request is built once, every answer counts on its own, and
what a servo says about its health is kept. The bytes on the wire are the same.
"""

import struct
import time
from collections.abc import Sequence
from itertools import chain

from aloha_stack.dynamixel.answers import Answer, BurstParser, Found, Window
from aloha_stack.dynamixel.debts import LENGTHS
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


class _Question:
    """A request for a window of several servos, and the parser of its answers."""

    def __init__(self, ids: Sequence[int], window: Window) -> None:
        asked = struct.pack("<HH", window.address, window.size)
        self.request = instruction(BROADCAST, SYNC_READ, asked + bytes(ids))
        self.parser = BurstParser(ids, window)
        self.answer_size = window.answer_size


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
        self.reads = 0
        self.missed = dict.fromkeys(self.ids, 0)
        self.damaged: tuple[int, ...] = ()
        self._questions = [_Question(self.ids, window.padded(n)) for n in range(LENGTHS)]
        self._last_mark = HEADER + bytes((self.ids[-1],))

    @property
    def request(self) -> bytes:
        """The packet that asks for the window, and for nothing more."""
        return self._questions[0].request

    def read(self) -> dict[int, Answer]:
        """One cycle: the good answers by servo ID. Raises PortLost.

        Returns as soon as all have answered, this request and no older one. If somebody is missing
        it listens on until the line is quiet, so that the next request does not meet the rest.
        """
        self.reads += 1
        self.damaged = ()
        port, patience = self.port, self.patience
        debts, slack_s = patience.debts, patience.slack_s
        if port.take() and debts:
            patience.late = True  # it came between two readings
        if patience.late and debts and not self._let_pass():
            return self._note(Found({}, self.ids))
        question = self._questions[debts.padding(self.window.answer_size) if debts else 0]
        answer_size, parser = question.answer_size, question.parser
        given_up = patience.given_up(self.ids)
        due = answer_size * (len(self.ids) - len(given_up))
        byte_s = port.tx_time_per_byte / 1000
        silence_s = slack_s + (START_S if patience.late else SILENCE_S)
        doubtful = answer_size in debts
        older = bool(debts)
        debts.ask(answer_size)
        port.writePort(question.request)
        heard = bytearray()
        now = began = time.monotonic()
        deadline = now + (len(question.request) + answer_size) * byte_s + slack_s
        deadline += START_S if due else SILENCE_S
        limit = deadline + due * byte_s + LIMIT_S
        while port.wait(min(deadline, limit) - now):
            heard += port.take()
            if (answers := parser.parse(heard)) and not (doubtful and self._goes_on()):
                if patience.late:
                    patience.late = time.monotonic() - began > SILENCE_S
                debts.settle(rest=False)
                patience.heard(self.ids)
                return answers
            now = time.monotonic()
            if older and (old := parser.end_of_old(bytes(heard), debts)):
                patience.late = True
                silence_s = START_S + slack_s
                del heard[:old]
                deadline = now + silence_s  # what was asked for now has yet to begin
                limit = deadline + due * byte_s + LIMIT_S
                if not heard:
                    continue
            rest_s = (due - len(heard)) * byte_s
            if rest_s > 0 and not self._last_spoke(heard, answer_size):
                deadline = now + rest_s + silence_s
                if rest_s > 0.0005:
                    time.sleep(min(rest_s - 0.0002, SILENCE_S / 2))
                    now = time.monotonic()
                continue
            found = parser.search(bytes(heard))
            if self._is_over(found, given_up) and not (doubtful and self._goes_on()):
                break
            deadline = now + QUIET_S + slack_s  # who is missing should have spoken by now
        else:
            found = parser.search(bytes(heard))
        self._settle(found)
        return self._note(found)

    def _let_pass(self) -> bool:
        """Waits until a line on which answers come late owes none; False if there is no end."""
        patience = self.patience
        if not self.port.await_silence(START_S + patience.slack_s, LIMIT_S):
            return False
        patience.late = False
        patience.debts.forget()
        return True

    def _goes_on(self) -> bool:
        """Whether more comes behind what was heard, if that may be old all the same."""
        return self.port.wait(QUIET_S + self.patience.slack_s)

    def _last_spoke(self, heard: bytearray, answer_size: int) -> bool:
        at = heard.rfind(self._last_mark)
        return at >= 0 and len(heard) - at >= answer_size

    def _is_over(self, found: Found, given_up: frozenset[int]) -> bool:
        """Whether all answered from whom an answer is awaited, the last of the request too."""
        answers = found.answers
        return self.ids[-1] in answers and all(i in answers or i in given_up for i in self.ids)

    def _settle(self, found: Found) -> None:
        """Nothing comes any more from before the last answer."""
        if found.answers:
            self.patience.debts.settle(rest=self.ids[-1] not in found.answers)

    def _note(self, found: Found) -> dict[int, Answer]:
        self.damaged = found.damaged
        silent = []
        for servo_id in self.ids:
            if servo_id not in found.answers:
                self.missed[servo_id] += 1
                if servo_id not in found.damaged:
                    silent.append(servo_id)
        self.patience.heard((*found.answers, *found.damaged))
        self.patience.silent(silent)
        return found.answers


class SyncWriter:
    """Writes one register of several servos with one packet; no servo answers to it."""

    def __init__(self, port: PollingPort, ids: Sequence[int], address: int, layout: str) -> None:
        self.port, self.ids = port, tuple(ids)
        size = struct.calcsize("<" + layout)
        self._head = struct.pack("<BHH", SYNC_WRITE, address, size)
        self._data = struct.Struct("<" + f"B{layout}" * len(self.ids))

    def write(self, values: Sequence[int]) -> None:
        """Sends one value per servo, in the order of the IDs. Raises PortLost."""
        data = self._data.pack(*chain.from_iterable(zip(self.ids, values, strict=True)))
        self.port.writePort(packet(BROADCAST, self._head + data))


def goal_writer(port: PollingPort, ids: Sequence[int]) -> SyncWriter:
    """Writes goal positions (116, 4 bytes), in ticks."""
    return SyncWriter(port, ids, 116, "i")


def current_writer(port: PollingPort, ids: Sequence[int]) -> SyncWriter:
    """Writes goal currents (102, 2 bytes), in 2.69 mA."""
    return SyncWriter(port, ids, 102, "h")
