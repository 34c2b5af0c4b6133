"""Packets as bytes, against dynamixel_sdk and the manual's own examples."""

import pytest
from dynamixel_sdk import Protocol2PacketHandler
from hypothesis import assume, given
from hypothesis import strategies as st

from aloha_stack.dynamixel import packets

SDK = Protocol2PacketHandler()
tricky = st.lists(st.sampled_from([0xFF, 0xFD, 0x00, 0x55, 0x01]), max_size=40).map(bytes)
bodies = st.one_of(tricky, st.binary(max_size=60)).map(lambda data: b"\x03" + data)
ids = st.integers(0, 252)


@pytest.mark.parametrize(
    ("built", "example"),
    [
        (packets.instruction(1, packets.PING), "FF FF FD 00 01 03 00 01 19 4E"),
        (
            packets.instruction(1, packets.READ, bytes((132, 0, 4, 0))),
            "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15",
        ),
        (
            packets.instruction(254, packets.SYNC_READ, bytes((132, 0, 4, 0, 1, 2))),
            "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA",
        ),
        (
            packets.status(2, 0, (2079).to_bytes(4, "little")),
            "FF FF FD 00 02 08 00 55 00 1F 08 00 00 BA BE",
        ),
    ],
)
def test_the_examples_of_the_manual_are_met_byte_by_byte(built, example):
    assert built == bytes.fromhex(example)


@given(st.binary(max_size=300))
def test_the_checksum_is_the_sdks(data):
    assert packets.crc16(data) == SDK.updateCRC(0, data, len(data))


@given(ids, bodies)
def test_stuffing_is_the_sdks_in_both_directions(servo_id, body):
    ours = packets.packet(servo_id, body)
    length = len(body) + 2
    theirs = [0xFF, 0xFF, 0xFD, 0, servo_id, length & 0xFF, length >> 8, *body, 0, 0]
    theirs = SDK.addStuffing(theirs)  # its own txPacket forgets what comes back
    assert ours[:-2] == bytes(theirs[:-2])
    back = SDK.removeStuffing(list(ours))
    size = back[5] | back[6] << 8
    assert bytes(back[7 : 7 + size - 2]) == body


@given(st.lists(st.tuples(ids, bodies), max_size=5))
def test_what_was_packed_is_found_again(sent):
    line = b"".join(packets.packet(servo_id, body) for servo_id, body in sent)
    frames, rest = packets.scan(line)
    assert [(frame.id, frame.body) for frame in frames] == sent
    assert all(frame.intact for frame in frames)
    assert packets.scan(rest)[0] == []


@given(ids, bodies, st.integers(0, 200))
def test_a_packet_in_two_pieces_is_found_once_it_is_whole(servo_id, body, cut):
    line = packets.packet(servo_id, body)
    first, rest = packets.scan(line[:cut])
    second, _ = packets.scan(rest + line[cut:])
    assert [(frame.id, frame.body) for frame in first + second] == [(servo_id, body)]


@given(st.binary(max_size=80), ids, bodies)
def test_noise_before_a_packet_does_not_hide_it(noise, servo_id, body):
    frames, _ = packets.scan(noise + bytes(3) + packets.packet(servo_id, body) + bytes(1100))
    assert (servo_id, body, True) in [frame[:3] for frame in frames]


@given(ids, bodies, st.data())
def test_a_packet_cut_short_does_not_hide_the_next(servo_id, body, data):
    whole = packets.packet(servo_id, body)
    cut = data.draw(st.integers(1, len(whole) - 1))
    next_one = packets.instruction(7, packets.PING)
    assume(not (whole[:cut] + next_one).startswith(whole))  # its start may complete the first
    frames, _ = packets.scan(whole[:cut] + next_one)
    assert (7, b"\x01", True) in [frame[:3] for frame in frames]


@given(ids, bodies, st.data())
def test_a_flipped_bit_is_never_taken_for_an_intact_packet(servo_id, body, data):
    whole = bytearray(packets.packet(servo_id, body))
    at = data.draw(st.integers(4, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not any(frame.intact for frame in packets.scan(bytes(whole))[0])


@given(st.binary(max_size=400))
def test_any_bytes_are_survived(data):
    packets.scan(data)
