"""Answers are found in whatever a bus says, and none is made up."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.dynamixel.answers import BurstParser
from aloha_stack.dynamixel.cyclic import STATE
from aloha_stack.dynamixel.packets import status

IDS = (1, 2, 4, 6, 7, 8, 9)
PARSER = BurstParser(IDS, STATE)
states = st.tuples(
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 1),
)
bursts = st.lists(states, min_size=7, max_size=7)


def answer(servo_id: int, state=(0, 0, 2048), error: int = 0) -> bytes:
    return status(servo_id, error, struct.pack("<hii", *state))


def burst(values=((0, 0, 2048),) * 7) -> list[bytes]:
    return [answer(i, value) for i, value in zip(IDS, values, strict=True)]


def damage(packet: bytes, at: int = 12) -> bytes:
    return packet[:at] + bytes((packet[at] ^ 0x10,)) + packet[at + 1 :]


@given(bursts, st.binary(max_size=30), st.binary(max_size=30))
def test_answers_are_found_between_noise(values, before, after):
    line = b"".join(burst(values))
    found = PARSER.search(before + bytes(3) + line + bytes(3) + after).answers
    assert {i: found[i][1:] for i in IDS if i in found} == dict(zip(IDS, values, strict=True))


@given(bursts)
def test_a_whole_burst_is_read_the_same_quickly_and_slowly(values):
    line = b"".join(burst(values))
    quick = PARSER.parse(bytearray(line))
    assert quick is None or quick == PARSER.search(line).answers
    assert (quick is None) == (len(line) != PARSER.size)  # only a stuffed burst is left to search()


@given(bursts, st.data())
def test_a_flipped_bit_costs_one_answer_at_most_and_names_it(values, data):
    line = bytearray(b"".join(burst(values)))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= 1 << data.draw(st.integers(0, 7))
    assert PARSER.parse(line) is None
    found = PARSER.search(bytes(line))
    lost = [i for i in IDS if i not in found.answers]
    expected = dict(zip(IDS, values, strict=True))
    assert all(found.answers[i][1:] == expected[i] for i in found.answers)
    assert list(found.damaged) == lost
    assert len(lost) == 1


def test_an_answer_of_a_foreign_servo_or_length_or_a_refusal_is_not_taken():
    foreign = status(11, 0, bytes(10))
    short = status(1, 0, bytes(4))
    refused = answer(2, error=7)
    assert PARSER.search(foreign + short + refused).answers == {}


@pytest.mark.parametrize("lost", [(1,), (6,), (9,), (1, 9), (4, 6)])
def test_silence_is_not_damage(lost):
    spoken = [packet for i, packet in zip(IDS, burst(), strict=True) if i not in lost]
    found = PARSER.search(b"".join(spoken))
    assert tuple(i for i in IDS if i not in found.answers) == lost
    assert found.damaged == ()


@pytest.mark.parametrize("at", [0, 4, 5, 12, 20], ids=["head", "ID", "length", "data", "checksum"])
@pytest.mark.parametrize("hurt", [1, 6, 9])
def test_damage_is_put_down_to_the_servo_whose_turn_it_was(hurt, at):
    packets = burst()
    k = IDS.index(hurt)
    packets[k] = damage(packets[k], at)
    assert PARSER.search(b"".join(packets)).damaged == (hurt,)


@pytest.mark.parametrize(("silent", "hurt"), [(4, 7), (7, 4), (4, 6), (8, 9), (9, 8)])
def test_a_silent_servo_beside_a_damaged_one_is_told_apart_by_the_head(silent, hurt):
    packets = dict(zip(IDS, burst(), strict=True))
    del packets[silent]
    packets[hurt] = damage(packets[hurt])
    found = PARSER.search(b"".join(packets.values()))
    assert found.damaged == (hurt,)
    assert set(found.answers) == set(IDS) - {silent, hurt}


@pytest.mark.parametrize("cut", [1, 5, 10, 20])
def test_an_answer_that_breaks_off_is_damaged_and_hides_no_other(cut):
    packets = burst()
    packets[2] = packets[2][:cut]
    found = PARSER.search(b"".join(packets))
    assert found.damaged == (4,)
    assert len(found.answers) == 6


def test_two_servos_that_talk_at_once_are_damage():
    packets = burst()
    other = answer(7, (3, -5, 1100))
    packets[4] = bytes(a & b for a, b in zip(packets[4], other, strict=True))
    assert PARSER.search(b"".join(packets)).damaged == (7,)


@pytest.mark.parametrize("stale", IDS)
def test_an_old_answer_in_front_does_not_pass_for_a_new_one(stale):
    old = answer(stale, (9, 9, 9))
    new = b"".join(burst())
    answers = PARSER.search(old + new).answers
    assert set(answers) == set(IDS)
    assert all(state[1:] == (0, 0, 2048) for state in answers.values())


def test_of_two_bursts_the_later_counts():
    old, new = burst([(1, 1, 1)] * 7), burst()
    answers = PARSER.search(b"".join(old + new)).answers
    assert [state[3] for state in answers.values()] == [2048] * 7
    one_lost = PARSER.search(b"".join(old + new[:3] + new[4:])).answers
    assert [state[3] for state in one_lost.values()] == [2048] * 6


def test_the_alert_bit_is_kept():
    packets = burst()
    packets[3] = answer(6, error=0x80)
    assert PARSER.parse(bytearray(b"".join(packets)))[6][0] == 0x80
    assert PARSER.search(b"".join(packets)).answers[6][0] == 0x80
