"""The clock of tests within one process: what it leaves out, and what it does not."""

import time

import pytest
from hypothesis import HealthCheck, settings

from unstalled import STEP_NS, Unstalled, unstalled


def test_what_passes_between_two_looks_is_a_step_at_most() -> None:
    now_ns = began_ns = 10**18
    clock = Unstalled(lambda: now_ns)
    shown_ns = 0
    for passed_ns in (5, STEP_NS, 100 * STEP_NS, 0, 7):
        now_ns += passed_ns
        shown_ns += min(passed_ns, STEP_NS)
        told_ns = [clock.monotonic_ns(), clock.monotonic_ns()]
        clock.look()
        told_ns.append(clock.monotonic_ns())
        assert told_ns == sorted(set(told_ns))
        assert told_ns == pytest.approx([began_ns + shown_ns] * 3, rel=0, abs=20)


def test_who_keeps_it_has_a_clock_that_goes_on() -> None:
    with unstalled():
        kept = time.monotonic
    kept_s, real_s = kept(), time.monotonic()
    time.sleep(0.05)
    assert kept() - kept_s == pytest.approx(time.monotonic() - real_s, abs=0.01)


def test_it_goes_on_while_everybody_sleeps_and_sleep_takes_that_time() -> None:
    before = time.monotonic, time.sleep
    with unstalled():
        began_s, machine_s = time.monotonic(), time.time()
        time.sleep(8e-9 * STEP_NS)
        assert time.monotonic() - began_s >= 8e-9 * STEP_NS
        assert time.time() - machine_s == pytest.approx(time.monotonic() - began_s, abs=0.025)
    assert (time.monotonic, time.sleep) == before


def test_no_example_of_a_property_is_timed() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
