"""The answers to a sync read, found in the bytes of a bus on which anything may have happened."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from aloha_stack.dynamixel.debts import Debts
from aloha_stack.dynamixel.packets import HEADER, STATUS, Frame, crc16, scan

Answer = tuple[int, ...]
"""One servo's answer, raw: the status packet's error byte, then the registers of the window."""

ERROR_CODE = 0x7F
"""The part of the error byte that says that the request was refused; the rest is the alert bit."""


class Window:
    """A stretch of a control table: its address, and what stands there as a struct format."""

    def __init__(self, address: int, layout: str) -> None:
        self.address, self.layout = address, layout
        self.size = struct.calcsize("<" + layout)
        self.unpack_from = struct.Struct("<B" + layout).unpack_from

    @property
    def answer_size(self) -> int:
        """Bytes of a status packet with this window in it, unstuffed."""
        return 11 + self.size

    def padded(self, padding: int) -> "Window":
        """The same with so many bytes behind it, of which nothing is made."""
        return Window(self.address, f"{self.layout}{padding}x") if padding else self


class Found(NamedTuple):
    """Good answers by servo ID, and the servos that said something that could not be read."""

    answers: dict[int, Answer]
    damaged: tuple[int, ...]


class BurstParser:
    """Finds the answers of `ids` to a sync read of `window`."""

    def __init__(self, ids: Sequence[int], window: Window) -> None:
        self.ids, self.window = tuple(ids), window
        self.size = window.answer_size * len(self.ids)
        self._packets = struct.Struct("<" + f"8s{window.size + 1}sH" * len(self.ids))
        self._answers = struct.Struct(f"<8xB{window.layout}2x")
        length = window.size + 4
        self._heads = tuple(HEADER + bytes((i, length, 0, STATUS)) for i in self.ids)
        self._head_crcs = [crc16(head) for head in self._heads]
        self._order = {servo_id: k for k, servo_id in enumerate(self.ids)}

    def parse(self, burst: bytearray) -> dict[int, Answer] | None:
        """The answers of a burst in which all spoke in order and unstuffed; None of any other."""
        if len(burst) != self.size:
            return None
        packets = self._packets.unpack(burst)
        heads, bodies, crcs = packets[::3], packets[1::3], packets[2::3]
        if heads != self._heads:
            return None
        for body, crc, head_crc in zip(bodies, crcs, self._head_crcs, strict=True):
            if crc16(body, head_crc) != crc or body[0] & ERROR_CODE:
                return None
        return dict(zip(self.ids, self._answers.iter_unpack(burst), strict=True))

    def search(self, heard: bytes) -> Found:
        """What can be saved from bytes in which some answers are missing, stuffed or damaged.

        Servos answer in the order of the request: an answer out of order begins another burst. The
        last one counts, for a late answer to an older request comes in front.
        """
        burst: list[Frame] = []
        for frame in scan(heard)[0]:
            if not self._is_good(frame):
                continue
            if burst and self._order[frame.id] <= self._order[burst[-1].id]:
                burst = []
            burst.append(frame)
        answers = {frame.id: self.window.unpack_from(frame.body, 1) for frame in burst}
        return Found(answers, self._damaged(heard, burst))

    def end_of_old(self, heard: bytes, debts: Debts) -> int:
        """Where answers to older requests end in `heard`, 0 if there are none.

        They are known by their length, and what comes before one of them is older still.
        """
        ends = [
            frame.end for frame in scan(heard)[0] if frame.intact and self._is_owed(frame, debts)
        ]
        return ends[-1] if ends else 0

    def _is_owed(self, frame: Frame, debts: Debts) -> bool:
        length = len(frame.body) + 9
        return frame.body[0] == STATUS and length != self.window.answer_size and length in debts

    def _is_good(self, frame: Frame) -> bool:
        body = frame.body
        return (
            frame.intact
            and len(body) == self.window.size + 2
            and body[0] == STATUS
            and not body[1] & ERROR_CODE
            and frame.id in self._order
        )

    def _damaged(self, heard: bytes, burst: list[Frame]) -> tuple[int, ...]:
        """Those of the missing servos that left bytes behind, where their answer should stand.

        A head with their ID names them; bytes without one belong to the first that are missing
        there.
        """
        damaged: list[int] = []
        place, order = 0, 0
        for frame in burst:
            missing = self.ids[order : self._order[frame.id]]
            damaged += self._who_spoke(heard[place : frame.start], missing)
            place, order = frame.end, self._order[frame.id] + 1
        damaged += self._who_spoke(heard[place:], self.ids[order:])
        return tuple(damaged)

    def _who_spoke(self, remains: bytes, missing: Sequence[int]) -> list[int]:
        named = [i for i in missing if HEADER + bytes((i,)) in remains]
        count = -(-len(remains) // self.window.answer_size) - len(named)
        nameless = [i for i in missing if i not in named][: max(0, count)]
        return [i for i in missing if i in named or i in nameless]
