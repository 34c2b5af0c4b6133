"""Stamps and numbers of images, from whatever a driver says about their time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.cameras import stamps
from aloha_stack.cameras.stamps import Stamper

MACHINE_S = 1_700_000_000.0
"""What the machine's clock shows when the steady one shows 0."""


class Clock:
    """The module's clocks, set by hand."""

    now_s = 100.0

    def monotonic_ns(self) -> int:
        return round(self.now_s * 1e9)

    def time_ns(self) -> int:
        return round((self.now_s + MACHINE_S) * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stamps, "time", clock)
    return clock


def test_a_steady_stamp_becomes_the_machines_time(clock: Clock) -> None:
    stamper = Stamper(50.0)
    stamp_ns, sequence = stamper.stamp(99.98)
    assert stamp_ns == pytest.approx((MACHINE_S + 99.98) * 1e9, abs=1e3)
    assert (sequence, stamper.by_arrival) == (0, False)


def test_a_driver_may_stamp_by_the_machines_clock(clock: Clock) -> None:
    stamper = Stamper(50.0)
    stamp_ns, _ = stamper.stamp(MACHINE_S + 99.98)
    assert stamp_ns == pytest.approx((MACHINE_S + 99.98) * 1e9, abs=1e3)
    assert not stamper.by_arrival


@pytest.mark.parametrize("driver_s", [0.0, 50.0, 100.5, MACHINE_S, 1e12])
def test_an_incredible_stamp_is_the_arrival(clock: Clock, driver_s: float) -> None:
    stamper = Stamper(50.0)
    assert stamper.stamp(driver_s) == (round((MACHINE_S + 100.0) * 1e9), 0)
    assert stamper.by_arrival


def test_a_stamp_that_does_not_rise_is_the_arrival(clock: Clock) -> None:
    stamper = Stamper(50.0)
    first, _ = stamper.stamp(99.99)
    clock.now_s += 0.02
    second, _ = stamper.stamp(99.99)
    assert second == clock.time_ns() > first


def test_images_that_waited_for_a_process_kept_from_running_keep_their_stamps(clock: Clock) -> None:
    stamper = Stamper(50.0)
    clock.now_s += 1.4
    exposed_s = (100.01, 100.03, 100.05)
    stamps_ns = [stamper.stamp(s)[0] for s in exposed_s]
    clock.now_s += 1.4
    stamps_ns += [stamper.stamp(s + 1.4)[0] for s in exposed_s]
    assert not stamper.by_arrival
    told_ns = [(MACHINE_S + s + late_s) * 1e9 for late_s in (0.0, 1.4) for s in exposed_s]
    assert stamps_ns == pytest.approx(told_ns, rel=0, abs=1e3)


def test_gaps_in_the_stamps_are_lost_images(clock: Clock) -> None:
    stamper, numbers = Stamper(50.0), []
    for exposed_s in (100.0, 100.02, 100.045, 100.06, 100.12, 100.14):
        clock.now_s = exposed_s + 0.005
        numbers.append(stamper.stamp(exposed_s)[1])
    assert numbers == [0, 1, 2, 3, 6, 7]


@given(st.lists(st.tuples(st.floats(1e-4, 5.0), st.floats(-10.0, 10.0)), min_size=2, max_size=30))
def test_stamps_and_numbers_always_rise(steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stamps, "time", clock)
        stamper, made = Stamper(50.0), []
        for wait_s, off_s in steps:
            clock.now_s += wait_s
            made.append(stamper.stamp(clock.now_s + off_s))
    for before, after in itertools.pairwise(made):
        assert after[0] > before[0]
        assert after[1] > before[1]
