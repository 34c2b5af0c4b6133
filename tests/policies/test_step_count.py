"""Which observations begin a step, and how many steps go without one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.policies.step_count import StepCount

TICK_NS = 20_000_000


def counted(stamps: list[int], rate_hz: float = 50.0) -> tuple[list[int], int]:
    """The stamps that began a step, and the steps that had none."""
    steps, missed = StepCount(rate_hz), 0
    begun = []
    for stamp in stamps:
        if steps.is_new(stamp):
            missed += steps.count(stamp)
            begun.append(stamp)
    return begun, missed


@given(seed=st.integers(0, 1000), first=st.integers(0, 10**18))
@settings(max_examples=30, deadline=None)
def test_stamps_that_jitter_by_less_than_the_allowance_are_a_step_each(
    seed: int, first: int
) -> None:
    noise = np.random.default_rng(seed).integers(-2_400_000, 2_400_000, 100)
    stamps = [first + tick * TICK_NS + int(n) for tick, n in enumerate(noise)]
    assert counted(stamps) == (stamps, 0)


def test_a_camera_of_60_hz_gives_a_step_to_five_of_six_pictures() -> None:
    stamps = [round(k * 1e9 / 60) for k in range(601)]
    begun, missed = counted(stamps)
    assert (len(begun), missed) == (501, 0)


def test_of_a_slow_policy_every_fifth_tick_is_a_step() -> None:
    stamps = [7 + k * TICK_NS for k in range(51)]
    assert counted(stamps, 10.0) == (stamps[::5], 0)


def test_steps_without_an_observation_are_counted() -> None:
    stamps = [0, TICK_NS, 5 * TICK_NS, 6 * TICK_NS]
    assert counted(stamps) == (stamps, 3)


def test_a_time_that_goes_back_is_news_and_nothing_missed() -> None:
    assert counted([10 * TICK_NS, 11 * TICK_NS, 0]) == ([10 * TICK_NS, 11 * TICK_NS, 0], 0)
