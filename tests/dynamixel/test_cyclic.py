"""The packets of a cycle on a real port, against dynamixel_sdk on the same bytes."""

import struct

import numpy as np
import pytest
from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, GroupSyncWrite, Protocol2PacketHandler
from hypothesis import example, given
from hypothesis import strategies as st

from aloha_stack.dynamixel.control_table import table_for
from aloha_stack.dynamixel.cyclic import STATE, SyncReader, current_writer, goal_writer
from aloha_stack.dynamixel.packets import status
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.dynamixel.requests import PacketHandler
from aloha_stack.dynamixel.watching import PRESENT, SAFETY, WATCHDOG
from twin.virtual_rig import Tampered, rig

IDS = (1, 2, 4, 6, 7, 8, 9)


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


ALL = (1, 2, 3, 4, 5, 6, 7, 8, 9)
FIELDS = {
    SAFETY: ("torque_enable", "hardware_error_status"),
    PRESENT: (
        "present_current", "present_velocity", "present_position", "present_input_voltage",
        "present_temperature",
    ),
    WATCHDOG: ("bus_watchdog",),
}  # fmt: skip


@pytest.mark.parametrize("window", FIELDS, ids=["safety", "present", "watchdog"])
def test_the_slow_look_reads_what_the_sdk_reads(live, port, window):
    show(live, -1, -3, -515)
    for servo_id, servo in live.virtual.servos.items():
        servo.put("torque_enable", servo_id % 2)
        servo.put("hardware_error_status", 0x24 if servo_id == 6 else 0)
        servo.put("bus_watchdog", -1 if servo_id == 3 else 25)
        servo.put("present_input_voltage", 100 + servo_id)
        servo.put("present_temperature", 40 + servo_id)
    ours = SyncReader(port, ALL, window).read()
    group = GroupSyncRead(port, Protocol2PacketHandler(), window.address, window.size)
    for servo_id in ALL:
        group.addParam(servo_id)
    assert group.txRxPacket() == COMM_SUCCESS
    for servo_id in ALL:
        table = table_for("xm540-w270")
        for name, value in zip(FIELDS[window], ours[servo_id][1:], strict=True):
            register = table[name]
            raw = group.getData(servo_id, register.address, register.size)
            theirs = register.decode(raw.to_bytes(register.size, "little"))
            assert value == theirs == live.virtual.servos[servo_id].get(name), name


class Recorder:
    """A port that keeps what is written to it."""

    is_using = False
    tx_time_per_byte = 0.01

    def __init__(self) -> None:
        self.written = b""

    def clearPort(self) -> None:
        pass

    def writePort(self, packet) -> int:
        self.written += bytes(packet)
        return len(packet)

    def setPacketTimeout(self, length: int) -> None:
        pass


@pytest.mark.parametrize("window", [STATE, *FIELDS], ids=["state", "safety", "present", "watchdog"])
def test_requests_are_the_sdks_byte_by_byte(window):
    theirs = Recorder()
    ids = list(ALL)
    Protocol2PacketHandler().syncReadTx(theirs, window.address, window.size, ids, len(ids), False)
    assert SyncReader(Recorder(), ALL, window).request == theirs.written


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=7, max_size=7))
@example([-131073, 0, -515, 0x00FDFFFF, -1, -3, 2048])  # FF FF FD in the parameters
def test_goals_are_written_as_the_sdk_writes_them(ticks):
    assert_written_as_the_sdk_does(goal_writer, 116, 4, ticks)


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=7, max_size=7))
def test_currents_are_written_as_the_sdk_writes_them(currents):
    assert_written_as_the_sdk_does(current_writer, 102, 2, currents)


def assert_written_as_the_sdk_does(make, address: int, size: int, values: list[int]) -> None:
    ours, theirs = Recorder(), Recorder()
    make(ours, IDS).write(values)
    group = GroupSyncWrite(theirs, PacketHandler(), address, size)
    for servo_id, value in zip(IDS, values, strict=True):
        group.addParam(servo_id, list(value.to_bytes(size, "little", signed=True)))
    assert group.txPacket() == COMM_SUCCESS
    assert ours.written == theirs.written


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
    logged = [(servo_id, value) for _, servo_id, value in live.virtual.written_goals.copy()]
    assert logged == list(zip(IDS, ticks, strict=True))
    assert live.virtual.servos[9].goal_ticks == -70_000
    assert np.isfinite(live.virtual.goals()[0]).all()
