"""How long a reading lasts when servos are silent, on a simulated line with a simulated clock.

The line is one of 1 Mbaud: the servos answer in the order of the request, one after the other.
"""

import math
import struct
from collections import deque
from collections.abc import Callable

import pytest

from aloha_stack.dynamixel import cyclic, port
from aloha_stack.dynamixel.cyclic import SyncReader
from aloha_stack.dynamixel.packets import BROADCAST, SYNC_READ, SYNC_WRITE, packet, status
from aloha_stack.dynamixel.patience import GIVEN_UP_AFTER, Patience
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.dynamixel.watching import PRESENT, SAFETY, WATCHDOG

IDS = (1, 2, 4, 6, 7, 8, 9)
ALL = tuple(range(1, 10))
BYTE_S = 1e-5
GOALS = packet(BROADCAST, bytes((SYNC_WRITE, 116, 0, 4, 0)) + bytes(35))
WHOLE_S = (21 + 7 * 21) * BYTE_S
"""A request to seven servos and their answers."""


class Line:
    """A port and a clock. `voice` makes an ID's answer; `slowness` stretches the wire time.

    The answers bear the number of the request as their position. Bytes are handed over every
    `lump_s`, and `lag_s` late.
    """

    tx_time_per_byte = 0.01

    def __init__(self) -> None:
        self.now = 100.0
        self.voice: Callable[[int], bytes] = self.answer
        self.silent: set[int] = set()
        self.slowness = 1.0
        self.lag_s = self.lump_s = 0.0
        self.free = 0.0
        self.coming: deque[tuple[float, int]] = deque()
        self.asked = b""
        self.number = 0
        self.collisions = 0

    def answer(self, servo_id: int) -> bytes:
        """Of the length that was asked for."""
        size = int.from_bytes(self.asked[10:12], "little")
        return status(servo_id, 0, struct.pack("<hii", 0, 0, self.number).ljust(size, b"\0")[:size])

    # the clock
    def monotonic(self) -> float:
        return self.now

    def sleep(self, time_s: float) -> None:
        self.now += time_s

    # the port
    def clearPort(self) -> None:
        self.take()

    def writePort(self, request: bytes) -> None:
        byte_s = BYTE_S * self.slowness
        self.free = max(self.now, self.free) + len(request) * byte_s
        if request[7] != SYNC_READ:
            return
        self.collisions += bool(self.coming)
        self.asked = request
        self.number += 1
        for servo_id in request[12:-2]:
            for byte in b"" if servo_id in self.silent else self.voice(servo_id):
                self.free += byte_s
                at = self.free + self.lag_s
                if self.lump_s:
                    at = math.ceil(at / self.lump_s) * self.lump_s
                self.coming.append((at, byte))

    def wait(self, timeout_s: float) -> bool:
        until = self.now + math.ceil(max(0.0, timeout_s) * 1000) / 1000  # as poll() rounds
        if self.coming and self.coming[0][0] <= until:
            self.now = max(self.now, self.coming[0][0])
            return True
        self.now = until
        return False

    await_silence = PollingPort.await_silence

    def take(self) -> bytes:
        arrived = bytearray()
        while self.coming and self.coming[0][0] <= self.now:
            arrived.append(self.coming.popleft()[1])
        return bytes(arrived)


@pytest.fixture
def line(monkeypatch):
    line = Line()
    monkeypatch.setattr(cyclic, "time", line)
    monkeypatch.setattr(port, "time", line)
    return line


def timed(line: Line, reader: SyncReader) -> tuple[float, dict]:
    """One reading in a cycle of 10 ms: how long it took, s, and its answers."""
    began = line.now
    answers = reader.read()
    took = line.now - began
    line.now = max(line.now, began + 0.01)
    return took, answers


def test_a_healthy_bus_is_left_as_soon_as_the_last_byte_is_there(line):
    reader = SyncReader(line, IDS)
    for _ in range(20):
        took, answers = timed(line, reader)
        assert tuple(answers) == IDS
        assert took < WHOLE_S + 0.0003


@pytest.mark.parametrize("lost", IDS)
def test_a_lost_reply_costs_at_most_12_ms_and_no_other_reply(line, lost):
    reader = SyncReader(line, IDS)
    timed(line, reader)
    line.silent = {lost}
    took, answers = timed(line, reader)
    assert set(answers) == set(IDS) - {lost}
    assert reader.damaged == ()
    # If the last has spoken, nobody is waited for: what is missing is lost.
    assert took <= WHOLE_S + (0.012 if lost == IDS[-1] else 0.004)
    line.silent = set()
    took, answers = timed(line, reader)
    assert tuple(answers) == IDS
    assert took <= WHOLE_S + 0.005  # looked twice, whether the lost one came late


@pytest.mark.parametrize("dead", [(9,), (4,), (6, 7, 8, 9), (1, 9)])
def test_who_stays_silent_soon_costs_little_and_is_heard_at_once_when_back(line, dead):
    reader = SyncReader(line, IDS)
    line.silent = set(dead)
    for _ in range(GIVEN_UP_AFTER + 1):
        timed(line, reader)
    for _ in range(20):
        took, answers = timed(line, reader)
        assert set(answers) == set(IDS) - set(dead)
        assert took <= WHOLE_S + 0.0045
    line.silent = set()
    assert tuple(timed(line, reader)[1]) == IDS


def test_a_dead_arm_does_not_take_the_time_of_a_cycle(line):
    reader = SyncReader(line, IDS)
    line.silent = set(IDS)
    for _ in range(GIVEN_UP_AFTER):
        timed(line, reader)
    for _ in range(5):
        assert timed(line, reader)[0] < 0.01
    line.silent = set()
    assert tuple(timed(line, reader)[1]) == IDS


def test_who_was_given_up_on_one_reading_is_so_on_all(line):
    patience = Patience()
    first, second = (SyncReader(line, IDS, patience=patience) for _ in range(2))
    line.silent = {9}
    for _ in range(GIVEN_UP_AFTER + 1):
        timed(line, first)
    assert timed(line, second)[0] <= WHOLE_S + 0.0045


@pytest.mark.parametrize("hurt", [1, 6, 9])
def test_after_damage_the_line_is_quiet_before_the_next_request(line, hurt):
    reader = SyncReader(line, IDS)
    sound = line.voice

    def voice(servo_id: int) -> bytes:
        answer = sound(servo_id)
        return answer[:10] + b"\x55" + answer[11:] if servo_id == hurt else answer

    line.voice = voice
    for _ in range(10):
        took, answers = timed(line, reader)
        assert set(answers) == set(IDS) - {hurt}
        assert reader.damaged == (hurt,)
        assert took <= WHOLE_S + 0.012
    assert line.collisions == 0


@pytest.mark.parametrize("slowness", [10.0, 20.0])
@pytest.mark.parametrize("dead", [(), (9,), (4,)])
def test_on_a_line_that_is_far_too_slow_everybody_is_heard(line, dead, slowness):
    reader = SyncReader(line, IDS)
    line.slowness = slowness
    line.silent = set(dead)
    for _ in range(6):
        assert set(timed(line, reader)[1]) == set(IDS) - set(dead)
    line.silent = set()
    assert tuple(timed(line, reader)[1]) == IDS
    assert line.collisions == 0


def test_a_slow_latency_timer_makes_patient(line):
    """The last bytes of a burst stay in the adapter until its timer has run down."""
    reader = SyncReader(line, IDS)
    reader.patience.reset(latency_timer_ms=16)
    write = line.writePort

    def write_late(request: bytes) -> None:
        write(request)
        coming = list(line.coming)  # two USB packets of 62 bytes are full
        line.coming = deque([*coming[:124], *((at + 0.016, byte) for at, byte in coming[124:])])

    line.writePort = write_late
    for _ in range(5):
        assert tuple(timed(line, reader)[1]) == IDS


def test_a_line_that_never_falls_silent_is_left_alone(line):
    reader = SyncReader(line, IDS)
    line.slowness = 10.0
    line.silent = set(IDS[1:])
    line.voice = lambda servo_id: b"\xff\xff\x00" * 1000  # 0.3 s
    took, answers = timed(line, reader)
    assert answers == {}
    assert took < 0.2


def test_the_late_rest_of_a_lost_answer_does_not_pass_for_the_next(line):
    """A whole burst comes late, with the next one: the newer counts."""
    reader = SyncReader(line, IDS)
    for _ in range(3):
        assert numbers(timed(line, reader)[1]) == {line.number}
    line.silent = set(IDS)
    assert timed(line, reader)[1] == {}
    held_back = b"".join(map(line.answer, IDS))
    line.silent = set()
    line.voice = lambda i: (held_back if i == IDS[0] else b"") + line.answer(i)
    assert numbers(timed(line, reader)[1]) == {line.number}


def numbers(answers: dict) -> set[int]:
    return {state[3] for state in answers.values()}


@pytest.mark.parametrize("lump_s", [0.0, 0.012, 0.03])
@pytest.mark.parametrize("slowness", [5.0, 10.0, 25.0])
def test_on_a_slow_line_no_answer_to_an_older_request_is_believed(line, slowness, lump_s):
    """The bytes come in lumps, as from a busy machine, and looks at all nine are in between."""
    patience = Patience()
    reader = SyncReader(line, IDS, patience=patience)
    looks = [SyncReader(line, ALL, window, patience) for window in (SAFETY, PRESENT, WATCHDOG)]
    line.slowness, line.lump_s = slowness, lump_s
    complete = 0
    for cycle in range(60):
        answers = timed(line, reader)[1]
        assert numbers(answers) <= {line.number}
        complete += len(answers) == len(IDS)
        line.writePort(GOALS)
        if cycle % 5 == 4:
            looks[cycle // 5 % 3].read()
    assert complete >= 55  # it waits for what is on its way, and asks for nothing meanwhile
    assert line.collisions <= 3
    line.slowness, line.lump_s = 1.0, 0.0
    line.free = line.now
    assert numbers(timed(line, reader)[1]) == {line.number}


@pytest.mark.parametrize("late_s", [0.012, 0.033, 0.05, 0.09, 0.15])
def test_a_burst_that_is_late_once_is_known_whenever_it_comes(line, late_s):
    """The host slept, or its adapter: what was asked for then comes in front of what is asked."""
    reader = SyncReader(line, IDS)
    timed(line, reader)
    line.lag_s = late_s
    answers = timed(line, reader)[1]
    line.lag_s = 0.0
    for _ in range(30):
        assert numbers(answers) <= {line.number}
        answers = timed(line, reader)[1]
    assert len(answers) == len(IDS)


def test_a_line_that_delivers_an_outage_at_once_is_believed_when_it_is_done(line):
    reader = SyncReader(line, IDS)
    timed(line, reader)
    back_s = line.now + 1.0
    while line.now < back_s:
        line.lag_s = max(0.0, back_s - line.now)
        assert numbers(timed(line, reader)[1]) <= {line.number}
    line.lag_s = 0.0
    for _ in range(10):
        answers = timed(line, reader)[1]
        assert numbers(answers) <= {line.number}
    assert len(answers) == len(IDS)
