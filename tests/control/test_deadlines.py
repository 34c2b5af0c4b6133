"""Deadlines that do not drift, on a clock made of a list."""

import pytest

from aloha_stack.control.pacing import Pacer

MS = 1_000_000


class Clock:
    """Sleeps exactly, then `late` ns more; wakes early when told to."""

    def __init__(self) -> None:
        self.now = 5 * MS
        self.late = 0
        self.wakes = False

    def now_ns(self) -> int:
        return self.now

    def sleep_until(self, deadline_ns: int) -> bool:
        if self.wakes:
            return False
        self.now = max(self.now, deadline_ns + self.late)
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_late_ticks_do_not_move_the_next_ones(clock: Clock) -> None:
    pacer = Pacer(0.01, clock.now_ns, clock.sleep_until)
    clock.late = 3 * MS
    for _ in range(100):
        assert pacer.wait()
    assert clock.now == 5 * MS + 100 * 10 * MS + 3 * MS
    assert (pacer.ticks, pacer.overruns) == (100, 0)


def test_a_tick_late_by_a_period_is_an_overrun_and_missed_ones_are_left_out(clock: Clock) -> None:
    pacer = Pacer(0.01, clock.now_ns, clock.sleep_until)
    assert pacer.wait()
    clock.now += 34 * MS
    assert pacer.wait()
    assert (pacer.ticks, pacer.overruns) == (2, 1)
    assert pacer.wait()
    assert clock.now == 55 * MS
    assert (pacer.ticks, pacer.overruns) == (3, 1)


def test_woken_early_is_no_tick(clock: Clock) -> None:
    pacer = Pacer(0.01, clock.now_ns, clock.sleep_until)
    clock.wakes = True
    assert not pacer.wait()
    clock.wakes = False
    assert pacer.wait()
    assert clock.now == 15 * MS


def test_a_clock_that_runs_backwards_starts_anew(clock: Clock) -> None:
    pacer = Pacer(0.01, clock.now_ns, clock.sleep_until)
    clock.now = 1000 * MS
    assert pacer.wait()
    clock.now, clock.wakes = 2 * MS, True
    assert not pacer.wait()
    assert pacer.jumps == 1
    clock.wakes = False
    assert pacer.wait()
    assert clock.now == 12 * MS


def test_a_clock_that_is_set_back_during_the_work_is_noticed_before_the_next_sleep(
    clock: Clock,
) -> None:
    pacer = Pacer(0.01, clock.now_ns, clock.sleep_until)
    clock.now = 1000 * MS
    assert pacer.wait()
    clock.now = 700 * MS
    assert not pacer.wait()
    assert (pacer.jumps, clock.now) == (1, 700 * MS)
    assert pacer.wait()
    assert clock.now == 710 * MS


def test_a_period_must_be_positive(clock: Clock) -> None:
    with pytest.raises(ValueError, match="period_s is 0"):
        Pacer(0, clock.now_ns, clock.sleep_until)
