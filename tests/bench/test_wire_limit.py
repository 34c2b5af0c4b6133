"""The wire limit, against bytes counted by hand and against the packets themselves."""

import pytest

from aloha_stack.bench.emulator import Emulator, bench_robot
from aloha_stack.bench.line_check import check_line
from aloha_stack.bench.wire_limit import WireLimit, sync_read_bytes, sync_write_bytes
from aloha_stack.dynamixel.packets import BROADCAST, SYNC_READ, SYNC_WRITE, instruction, status


def test_nine_servos_take_what_has_been_counted_by_hand() -> None:
    # 23 bytes of request, 9 times 21 of answers; 59 bytes of goals: 2.71 ms at 1 Mbaud.
    assert sync_read_bytes(9, 10) == 23 + 189
    assert sync_write_bytes(9, 4) == 59


def test_a_cycle_of_the_seven_addressed_servos_takes_2_17_ms() -> None:
    # 21 + 7 * 21 bytes read, 14 + 7 * 5 written.
    assert WireLimit().cycle_s == pytest.approx(217 * 10e-6)


def test_slow_looks_at_all_nine_are_taken_off() -> None:
    # Windows of 7, 21, 7 and 1 bytes: 23 + 9 * (11 + size) each, 203.25 on the average.
    assert WireLimit().watch_s == pytest.approx(203.0 * 10e-6)
    assert WireLimit().cycles_hz(0.0) == pytest.approx(1 / 2.17e-3)
    assert WireLimit().cycles_hz(20.0) == pytest.approx((1 - 20 * 2.03e-3) / 2.17e-3)


@pytest.mark.parametrize("size", [1, 7, 10, 21])
def test_the_counts_are_those_of_real_packets(size: int) -> None:
    ids = bytes(range(1, 8))
    window = (126).to_bytes(2, "little") + size.to_bytes(2, "little")
    request = instruction(BROADCAST, SYNC_READ, window + ids)
    assert sync_read_bytes(7, size) == len(request) + 7 * len(status(1, 0, bytes(size)))
    goals = b"".join(bytes((i,)) + bytes(size) for i in ids)
    assert sync_write_bytes(7, size) == len(instruction(BROADCAST, SYNC_WRITE, window + goals))


def test_the_emulated_line_is_never_faster_than_its_bytes(tmp_path) -> None:
    """However fast the machine is: slower it may be."""
    arm = bench_robot(tmp_path).arm("leader_left")
    with Emulator(tmp_path, arm, spins=True):
        check = check_line(arm, 10)
    assert check.fastest >= 1.0
    assert check.bytes_per_s <= 100_000
