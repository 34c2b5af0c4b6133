"""The parser of the cyclic read, against dynamixel_sdk on the same bytes."""

import struct

import numpy as np
import pytest
from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, Protocol2PacketHandler
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.dynamixel.answers import BurstParser
from aloha_stack.dynamixel.cyclic import STATE, SyncReader, goal_writer
from aloha_stack.dynamixel.packets import status
from aloha_stack.dynamixel.port import PollingPort
from twin.virtual_rig import Tampered, rig

IDS = (1, 2, 4, 6, 7, 8, 9)
PARSER = BurstParser(IDS, STATE)
states = st.tuples(
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 1),
)


@pytest.fixture
def live(tmp_path):
    with rig(tmp_path) as live:
        yield live


@pytest.fixture
def port(live):
    port = PollingPort(live.arm.port, 1_000_000)
    port.openPort()
    yield port
    port.closePort()


def show(live, current: int, velocity: int, position: int) -> None:
    """The same raw registers on all nine servos."""
    live.port.arm = Tampered(live.virtual, lambda reply: reply)
    live.virtual.handle(b"")
    for servo in live.virtual.servos.values():
        servo.show(0.0, position, velocity, current)


@pytest.mark.parametrize(
    ("current", "velocity", "position"),
    [(0, 0, 2048), (-1, -3, 2048), (0, -1, 253), (-1, -1, -1), (300, -131, 4095)],
    ids=["rest", "stuffed in the velocity", "stuffed across registers", "all ones", "moving"],
)
def test_it_reads_what_the_sdk_reads(live, port, current, velocity, position):
    show(live, current, velocity, position)
    ours = SyncReader(port, IDS).read()
    group = GroupSyncRead(port, Protocol2PacketHandler(), 126, 10)
    for servo_id in IDS:
        group.addParam(servo_id)
    assert group.txRxPacket() == COMM_SUCCESS
    for servo_id in IDS:
        raw = (
            group.getData(servo_id, 126, 2),
            group.getData(servo_id, 128, 4),
            group.getData(servo_id, 132, 4),
        )
        theirs = struct.unpack("<hii", struct.pack("<HII", *raw))
        assert ours[servo_id][1:] == theirs == (current, velocity, position)


@given(st.lists(states, min_size=7, max_size=7), st.binary(max_size=30), st.binary(max_size=30))
def test_answers_are_found_between_noise(values, before, after):
    line = b"".join(
        status(servo_id, 0, struct.pack("<hii", *value))
        for servo_id, value in zip(IDS, values, strict=True)
    )
    found = PARSER.search(before + bytes(3) + line + bytes(3) + after).answers
    assert {i: found[i][1:] for i in IDS if i in found} == dict(zip(IDS, values, strict=True))


@given(st.lists(states, min_size=7, max_size=7), st.data())
def test_a_flipped_bit_costs_one_answer_at_most(values, data):
    answers = [
        status(servo_id, 0, struct.pack("<hii", *value))
        for servo_id, value in zip(IDS, values, strict=True)
    ]
    line = bytearray(b"".join(answers))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= 1 << data.draw(st.integers(0, 7))
    found = PARSER.search(bytes(line)).answers
    assert len(found) >= 6
    expected = dict(zip(IDS, values, strict=True))
    assert all(found[i][1:] == expected[i] for i in found)


def test_an_answer_of_a_foreign_servo_or_length_is_not_taken():
    foreign = status(11, 0, bytes(10))
    short = status(1, 0, bytes(4))
    refused = status(2, 7, bytes(10))
    assert PARSER.search(foreign + short + refused).answers == {}


def test_the_alert_bit_is_kept(live, port):
    reader = SyncReader(port, IDS)
    assert {state[0] for state in reader.read().values()} == {0}
    live.virtual.servos[7].fail(0x04)
    assert [i for i, state in reader.read().items() if state[0] & 0x80] == [7]


def test_a_burst_in_pieces_is_put_together(live, port):
    pieces: list[bytes] = []

    def keep_half(reply: bytes) -> bytes:
        pieces.append(reply[70:])
        return reply[:70]

    live.port.arm = Tampered(live.virtual, keep_half)
    reader = SyncReader(port, IDS)
    port.take_now = port.take

    def late() -> bytes:
        if pieces:
            live.port._send(pieces.pop())
        return port.take_now()

    port.take = late
    assert tuple(reader.read()) == IDS


def test_late_answers_to_an_older_request_are_thrown_away(live, port):
    reader = SyncReader(port, IDS)
    reader.read()
    live.port._send(status(IDS[-1], 0, struct.pack("<hii", 9, 9, 9)))
    assert port.wait(2.0)
    states = reader.read()
    assert tuple(states) == IDS
    assert states[IDS[-1]][3] != 9


def test_goals_arrive_as_written(live, port):
    ticks = [1000, 1001, 1002, 1003, 1004, 1005, -70_000]
    goal_writer(port, IDS).write(ticks)
    SyncReader(port, IDS).read()
    logged = [(servo_id, value) for _, servo_id, value in live.virtual.written_goals]
    assert logged == list(zip(IDS, ticks, strict=True))
    assert live.virtual.servos[9].goal_ticks == -70_000
    assert np.isfinite(live.virtual.goals()[0]).all()
