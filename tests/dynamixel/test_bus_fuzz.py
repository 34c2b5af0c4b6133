"""Any bytes in answer to a request: only bus errors, and only numbers that intact packets carried.

The judge of what an intact packet is, is dynamixel_sdk: its checksum and its unstuffing.
"""

import struct

import numpy as np
import pytest
from dynamixel_sdk import Protocol2PacketHandler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aloha_stack.dynamixel import port
from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.debts import LENGTHS
from aloha_stack.dynamixel.errors import BusError
from aloha_stack.dynamixel.packets import HEADER, status
from aloha_stack.dynamixel.units import RAD_PER_TICK
from dynamixel.bus_conformance import eventually
from twin.virtual_rig import Tampered, rig

SDK = Protocol2PacketHandler()
IDS = (1, 2, 4, 6, 7, 8, 9)
ALL = tuple(range(1, 10))

few = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
tricky = st.sampled_from([b"\xff\xff\xfd\x00", b"\xff\xff\xfd\xfd", b"\xff", b"\x55", b"\x00\x04"])
ids = st.sampled_from((*ALL, 0, 200, 253, 254))


def answers(size: int) -> st.SearchStrategy[bytes]:
    """A servo's answer of mostly the right size, whole, cut, or with another byte in it."""
    data = st.one_of(
        st.binary(min_size=size, max_size=size),
        st.binary(max_size=24),
        st.lists(tricky, max_size=5).map(b"".join),
    )
    error = st.sampled_from([0, 0, 0, 0x80, 3, 0x87])
    whole = st.builds(status, ids, error, data)
    cut = st.builds(lambda packet, at: packet[:at], whole, st.integers(0, 30))
    odd = st.builds(
        lambda packet, at, byte: packet[: at % len(packet)] + byte + packet[at % len(packet) + 1 :],
        whole,
        st.integers(0, 40),
        st.binary(min_size=1, max_size=1),
    )
    return st.one_of(whole, whole, cut, odd)


def replies(size: int) -> st.SearchStrategy[bytes]:
    """What comes in answer to a request."""
    burst = st.builds(
        lambda packets: b"".join(packets), st.lists(st.one_of(answers(size), tricky), max_size=14)
    )
    return st.one_of(burst, burst, st.binary(max_size=300))


def carried(heard: bytes) -> set[tuple[int, bytes]]:
    """(ID, parameters) of every intact status packet anywhere in `heard`."""
    found = set()
    at = heard.find(HEADER)
    while at >= 0:
        packet = list(heard[at:])
        size = packet[5] | packet[6] << 8 if len(packet) > 7 else 0
        if size >= 4 and len(packet) >= size + 7:
            packet = packet[: size + 7]
            crc = packet[-2] | packet[-1] << 8
            if packet[7] == 0x55 and SDK.updateCRC(0, packet, len(packet) - 2) == crc:
                packet = SDK.removeStuffing(packet)
                size = packet[5] | packet[6] << 8
                found.add((packet[4], bytes(packet[9 : 5 + size])))
        at = heard.find(HEADER, at + 1)
    return found


def lengths(size: int) -> range:
    """Of answers to a request for `size` bytes, after answers that may be late."""
    return range(size, size + LENGTHS)


@pytest.fixture
def bus(tmp_path, monkeypatch):
    monkeypatch.setattr(port, "REPLY_TIMEOUT_MS", 4.0)  # most of the answers here never come
    with rig(tmp_path) as live:
        bus = DynamixelBus(live.arm)
        bus.open()
        bus.reply = None
        # Grows over all examples: on a busy machine an answer may come with the next.
        bus.said = set()

        def speak(reply: bytes) -> bytes:
            spoken = reply if bus.reply is None else bus.reply
            bus.said |= carried(spoken)
            return spoken

        live.port.arm = Tampered(live.virtual, speak)
        yield bus
        bus.close()


@few
@given(reply=st.integers(10, 12).flatmap(replies))
def test_a_reading_makes_up_no_number(bus, reply):
    bus.reply = reply
    for _ in range(2):
        state = bus.read()
        ticks = np.rint(state.position / RAD_PER_TICK) + 2048
        for k, servo_id in enumerate(IDS):
            if servo_id in state.missing:
                assert np.isnan([state.position[k], state.velocity[k], state.effort[k]]).all()
                continue
            positions = {
                struct.unpack("<i", data[6:10])[0]
                for i, data in bus.said
                if i == servo_id and len(data) in lengths(10)
            }
            assert int(ticks[k]) in positions
        assert set(state.damaged) <= set(state.missing)
    bus.reply = None
    assert eventually(lambda: bus.read().complete)


@few
@given(reply=st.one_of(replies(7), replies(21), replies(1)))
def test_a_look_makes_up_no_number(bus, reply):
    bus.reply = reply
    for _ in range(4):
        health = bus.watch()
    for servo_id, one in health.items():
        mine = [data for i, data in bus.said if i == servo_id]
        temperatures = {float(data[20]) for data in mine if len(data) in lengths(21)}
        assert np.isnan(one.temperature_c) or one.temperature_c in temperatures
        assert one.torque is None or one.torque in {
            bool(d[0]) for d in mine if len(d) in lengths(7)
        }
        tripped = {data[0] > 127 for data in mine if len(data) in lengths(1)}
        assert one.watchdog_tripped is None or one.watchdog_tripped in tripped


@few
@given(servo_id=st.sampled_from(ALL), reply=replies(4))
def test_a_register_has_a_value_that_was_said_or_none(bus, servo_id, reply):
    bus.reply = reply
    try:
        value = bus.read_register(servo_id, "present_position")
    except BusError:
        return
    finally:
        bus.reply = None
    said = {data for i, data in bus.said if i == servo_id and len(data) == 4}
    assert value.to_bytes(4, "little", signed=True) in said


@settings(few, max_examples=12)
@given(reply=st.one_of(replies(1), replies(3)))
def test_whatever_is_said_nothing_but_bus_errors_escapes(bus, reply):
    bus.reply = reply
    uses = (
        bus.check,
        bus.torque,
        bus.hardware_errors,
        lambda: bus.write_register(1, "position_p_gain", 640),
    )
    for use in uses:
        try:
            use()
        except BusError:
            continue
    bus.reply = None
    assert eventually(lambda: bus.read().complete)
    assert not any(bus.torque().values())
