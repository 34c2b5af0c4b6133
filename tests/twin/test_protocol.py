"""The servos' line: who answers what, and who obeys in silence."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.dynamixel import packets
from aloha_stack.dynamixel.packets import BROADCAST, instruction, scan
from aloha_stack.twin.protocol import ServoLine
from aloha_stack.twin.servo import BOOT_S, VirtualServo


@pytest.fixture
def line():
    return new_line()


def new_line() -> ServoLine:
    """A shoulder with its shadow (2 and 3) and another servo (9)."""
    servos = [VirtualServo("xm540-w270", servo_id) for servo_id in (2, 3, 9)]
    servos[1].load_eeprom({"secondary_id": 2})
    return ServoLine(servos, lambda *_: None)


def servo_of(line: ServoLine, servo_id: int) -> VirtualServo:
    return next(servo for servo in line.servos if servo.id == servo_id)


def answers(line: ServoLine, sent: bytes) -> list[tuple[int, int, bytes]]:
    """(ID, error, data) of every status packet."""
    frames, rest = scan(line.handle(sent))
    assert all(frame.intact and frame.body[0] == packets.STATUS for frame in frames)
    assert len(rest) <= 3
    return [(frame.id, frame.body[1], frame.body[2:]) for frame in frames]


def write(servo_id: int, address: int, *values: int) -> bytes:
    return instruction(servo_id, packets.WRITE, struct.pack("<H", address) + bytes(values))


def read(servo_id: int, address: int, length: int) -> bytes:
    return instruction(servo_id, packets.READ, struct.pack("<HH", address, length))


def test_a_ping_is_answered_with_model_and_firmware(line):
    assert answers(line, instruction(9, packets.PING)) == [(9, 0, bytes((0x60, 0x04, 45)))]
    assert answers(line, instruction(8, packets.PING)) == []


def test_a_broadcast_ping_is_answered_by_all_in_the_order_of_ids(line):
    assert [a[0] for a in answers(line, instruction(BROADCAST, packets.PING))] == [2, 3, 9]


def test_a_shadow_obeys_its_secondary_id_in_silence(line):
    assert answers(line, write(2, 65, 1)) == [(2, 0, b"")]
    assert servo_of(line, 3).get("led") == 1
    assert answers(line, write(3, 65, 0)) == [(3, 0, b"")]
    assert servo_of(line, 2).get("led") == 1


def test_a_shadows_eeprom_is_closed_to_its_secondary_id(line):
    answers(line, write(2, 10, 1))
    assert servo_of(line, 2).get("drive_mode") == 1
    assert servo_of(line, 3).get("drive_mode") == 0


def test_a_shadow_gives_no_answer_to_reads_of_its_secondary_id(line):
    assert [a[0] for a in answers(line, read(2, 132, 4))] == [2]
    servo_of(line, 2).silent = True
    assert answers(line, read(2, 132, 4)) == []
    assert answers(line, instruction(2, packets.PING)) == []


def test_a_new_id_counts_at_once(line):
    assert answers(line, write(9, 7, 20)) == [(9, 0, b"")]
    assert [a[0] for a in answers(line, instruction(20, packets.PING))] == [20]
    assert answers(line, instruction(9, packets.PING)) == []


@pytest.mark.parametrize(("level", "to_read", "to_write"), [(0, 0, 0), (1, 1, 0), (2, 1, 1)])
def test_the_status_return_level_says_who_speaks(line, level, to_read, to_write):
    answers(line, write(9, 68, level))
    assert len(answers(line, instruction(9, packets.PING))) == 1
    assert len(answers(line, read(9, 132, 4))) == to_read
    assert len(answers(line, write(9, 65, 1))) == to_write
    assert servo_of(line, 9).get("led") == 1


def test_the_alert_stands_on_every_answer_until_a_reboot(line):
    servo_of(line, 9).fail(0x20)
    assert answers(line, read(9, 70, 1)) == [(9, 0x80, b"\x20")]
    assert answers(line, write(9, 65, 1)) == [(9, 0x80, b"")]
    assert answers(line, instruction(9, packets.PING))[0][1] == 0x80
    assert answers(line, instruction(9, packets.REBOOT)) == [(9, 0x80, b"")]
    line.advance(BOOT_S)
    assert answers(line, read(9, 70, 1)) == [(9, 0, b"\0")]


def test_a_servo_is_silent_while_it_boots(line):
    answers(line, instruction(9, packets.REBOOT))
    assert answers(line, instruction(9, packets.PING)) == []
    line.advance(BOOT_S - 0.01)
    assert answers(line, instruction(9, packets.PING)) == []
    line.advance(BOOT_S)
    assert len(answers(line, instruction(9, packets.PING))) == 1


def test_errors_are_told_by_number(line):
    assert answers(line, instruction(9, 0x7E)) == [(9, 2, b"")]
    assert answers(line, instruction(9, packets.ACTION)) == [(9, 2, b"")]
    assert answers(line, instruction(9, packets.FACTORY_RESET, b"\xff")) == [(9, 1, b"")]
    assert answers(line, write(9, 68, 7)) == [(9, 4, b"")]
    assert answers(line, write(9, 116, 1)) == [(9, 5, b"")]
    assert answers(line, write(9, 132, 0, 0, 0, 0)) == [(9, 7, b"")]
    assert answers(line, read(9, 140, 100))[0][1] == 7
    damaged = bytearray(write(9, 65, 1))
    damaged[-1] ^= 1
    assert answers(line, bytes(damaged)) == [(9, 3, b"")]
    assert servo_of(line, 9).get("led") == 0


def test_the_turns_are_cleared_on_its_password_only(line):
    servo = line.servos[0]
    servo.put("operating_mode", 4)
    servo._cache_hot()
    servo.show(3000.0, 5048, 0, 0)
    assert answers(line, instruction(servo.id, packets.CLEAR, b"\x01")) == [(servo.id, 4, b"")]
    assert servo.present_ticks == 5048
    password = bytes((0x01, 0x44, 0x58, 0x4C, 0x22))
    assert answers(line, instruction(servo.id, packets.CLEAR, password)) == [(servo.id, 0, b"")]
    assert servo.present_ticks == 952


def test_a_registered_write_waits_for_its_action(line):
    goal = struct.pack("<Hi", 116, 1000)
    assert answers(line, instruction(9, packets.REG_WRITE, goal)) == [(9, 0, b"")]
    assert servo_of(line, 9).goal_ticks == 2048
    assert servo_of(line, 9).get("registered_instruction") == 1
    assert answers(line, instruction(BROADCAST, packets.ACTION)) == []
    assert servo_of(line, 9).goal_ticks == 1000


def test_a_sync_read_is_answered_in_the_order_asked_without_the_silent(line):
    asked = struct.pack("<HH", 132, 4)
    sent = instruction(BROADCAST, packets.SYNC_READ, asked + bytes((9, 2, 5, 3)))
    assert [a[0] for a in answers(line, sent)] == [9, 2, 3]
    servo_of(line, 2).silent = True
    assert [a[0] for a in answers(line, sent)] == [9, 3]


def test_a_fast_sync_read_breaks_off_where_a_servo_is_silent(line):
    asked = struct.pack("<HH", 132, 4) + bytes((2, 3, 9))
    sent = instruction(BROADCAST, packets.FAST_SYNC_READ, asked)
    whole = line.handle(sent)
    assert len(whole) == 8 + 3 * 8
    assert len(scan(whole)[0]) == 1
    servo_of(line, 3).silent = True
    assert line.handle(sent) == whole[: 8 + 8]


def test_a_sync_write_reaches_the_shadow_and_nobody_answers(line):
    goals = b"".join(struct.pack("<Bi", servo_id, 1500) for servo_id in (2, 9))
    sent = instruction(BROADCAST, packets.SYNC_WRITE, struct.pack("<HH", 116, 4) + goals)
    assert line.handle(sent) == b""
    assert [servo.goal_ticks for servo in line.servos] == [1500, 1500, 1500]


def test_a_sync_write_out_of_limits_is_refused_without_a_word(line):
    goals = struct.pack("<Bi", 9, 5000)
    sent = instruction(BROADCAST, packets.SYNC_WRITE, struct.pack("<HH", 116, 4) + goals)
    assert line.handle(sent) == b""
    assert servo_of(line, 9).goal_ticks == 2048


def test_bulk_instructions_reach_each_servo_at_its_own_address(line):
    blocks = struct.pack("<BHHB", 9, 65, 1, 1) + struct.pack("<BHHi", 2, 116, 4, 1234)
    assert line.handle(instruction(BROADCAST, packets.BULK_WRITE, blocks)) == b""
    asked = struct.pack("<BHH", 9, 65, 1) + struct.pack("<BHH", 2, 116, 4)
    sent = instruction(BROADCAST, packets.BULK_READ, asked)
    assert answers(line, sent) == [(9, 0, b"\1"), (2, 0, struct.pack("<i", 1234))]


def test_any_packet_to_a_servo_keeps_its_watchdog_asleep(line):
    answers(line, write(9, 64, 1))
    answers(line, write(9, 98, 5))
    for step in range(1, 6):
        line.advance(step * 0.09)
        answers(line, read(9, 132, 4) if step % 2 else instruction(BROADCAST, packets.PING))
    assert servo_of(line, 9).get("bus_watchdog") == 5
    line.advance(5 * 0.09 + 0.11)
    assert answers(line, read(9, 98, 1)) == [(9, 0, b"\xff")]


def test_packets_to_others_do_not_keep_a_watchdog_asleep(line):
    answers(line, write(9, 64, 1))
    answers(line, write(9, 98, 5))
    line.advance(0.08)
    answers(line, read(2, 132, 4))
    line.advance(0.11)
    assert answers(line, read(9, 98, 1)) == [(9, 0, b"\xff")]


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_garbage_raises_nothing_and_does_not_deafen(chunks):
    line = new_line()
    for chunk in chunks:
        line.handle(chunk)
    ping = instruction(9, packets.PING)
    line.handle(bytes(4))
    assert (9, 0, bytes((0x60, 0x04, 45))) in answers_among_others(line, ping + ping)


def answers_among_others(line: ServoLine, sent: bytes) -> list[tuple[int, int, bytes]]:
    frames, _ = scan(line.handle(sent))
    return [(frame.id, frame.body[1], frame.body[2:]) for frame in frames]


@given(st.integers(0, 255), st.binary(max_size=40), st.sampled_from([2, 3, 9, 11, BROADCAST]))
def test_no_instruction_with_any_parameters_raises(code, parameters, servo_id):
    line = new_line()
    line.handle(instruction(servo_id, code, parameters))
    line.advance(1.0)
    line.handle(instruction(servo_id, code, parameters))
