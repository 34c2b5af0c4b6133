"""How long a reading lasts when servos are silent, on a simulated line with a simulated clock.

The line is one of 1 Mbaud: the servos answer in the order of the request, one after the other.
"""

import math
import struct
from collections.abc import Callable

import pytest

from aloha_stack.dynamixel import cyclic
from aloha_stack.dynamixel.cyclic import SyncReader
from aloha_stack.dynamixel.packets import status
from aloha_stack.dynamixel.patience import GIVEN_UP_AFTER, Patience

IDS = (1, 2, 4, 6, 7, 8, 9)
BYTE_S = 1e-5
WHOLE_S = (21 + 7 * 21) * BYTE_S
"""A request to seven servos and their answers."""


class Line:
    """A port and a clock. `voice` makes an ID's answer; `slowness` stretches the wire time."""

    tx_time_per_byte = 0.01

    def __init__(self) -> None:
        self.now = 100.0
        self.voice: Callable[[int], bytes] = lambda i: status(i, 0, struct.pack("<hii", 0, 0, i))
        self.silent: set[int] = set()
        self.slowness = 1.0
        self.lag_s = 0.0
        self.coming: list[tuple[float, bytes]] = []
        self.collisions = 0

    # the clock
    def monotonic(self) -> float:
        return self.now

    def sleep(self, time_s: float) -> None:
        self.now += time_s

    # the port
    def clearPort(self) -> None:
        self.take()

    def writePort(self, packet: bytes) -> None:
        self.collisions += bool(self.coming)
        at = self.now + len(packet) * BYTE_S * self.slowness + self.lag_s
        for servo_id in IDS:
            answer = b"" if servo_id in self.silent else self.voice(servo_id)
            for byte in answer:
                at += BYTE_S * self.slowness
                self.coming.append((at, bytes((byte,))))

    def wait(self, timeout_s: float) -> bool:
        until = self.now + math.ceil(max(0.0, timeout_s) * 1000) / 1000  # as poll() rounds
        if self.coming and self.coming[0][0] <= until:
            self.now = max(self.now, self.coming[0][0])
            return True
        self.now = until
        return False

    def take(self) -> bytes:
        arrived = [byte for at, byte in self.coming if at <= self.now]
        del self.coming[: len(arrived)]
        return b"".join(arrived)


@pytest.fixture
def line(monkeypatch):
    line = Line()
    monkeypatch.setattr(cyclic, "time", line)
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
        packet = sound(servo_id)
        return packet[:10] + b"\x55" + packet[11:] if servo_id == hurt else packet

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

    def write_late(packet: bytes) -> None:
        write(packet)
        tail = line.coming[124:]  # two USB packets of 62 bytes are full
        line.coming[124:] = [(at + 0.016, byte) for at, byte in tail]

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
    serial = iter(range(1000, 2000))
    line.voice = lambda servo_id: status(servo_id, 0, struct.pack("<hii", 0, 0, number))
    for _ in range(3):
        number = next(serial)
        assert {state[3] for state in timed(line, reader)[1].values()} == {number}
    number = next(serial)
    held_back = b"".join(map(line.voice, IDS))
    line.silent = set(IDS)
    assert timed(line, reader)[1] == {}
    line.silent = set()
    number = next(serial)
    new = line.voice
    line.voice = lambda servo_id: held_back + new(servo_id) if servo_id == 1 else new(servo_id)
    assert {state[3] for state in timed(line, reader)[1].values()} == {number}
