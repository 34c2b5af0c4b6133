"""How performances differ: by the seed, within bounds, and less where care is taken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.twin.operator_manner import HUMAN, STEADY, STEP_S, Draws, Manner

TIMES = np.array([0.0, 1.0, 2.0, 4.0])
FREE = np.zeros(4)


def test_the_same_seed_draws_the_same_and_another_one_differs() -> None:
    one, again, other = (Draws(HUMAN, seed) for seed in (5, 5, 6))
    assert one.pace == again.pace != other.pace
    np.testing.assert_array_equal(one.place(), again.place())
    first, second = one.tremor(TIMES, FREE), again.tremor(TIMES, FREE)
    np.testing.assert_array_equal(first.shifts, second.shifts)


def test_a_steady_hand_does_as_the_script_has_it() -> None:
    draws = Draws(STEADY, 3)
    assert draws.pace == 1.0
    assert not draws.place().any()
    assert not draws.tremor(TIMES, FREE).shifts.any()


def test_tremor_has_the_size_that_was_asked_for_and_spares_the_gripper() -> None:
    long = np.array([0.0, 400.0])
    shifts = Draws(Manner(tremor_rad=0.02), 0).tremor(long, np.zeros(2)).shifts
    assert shifts[100:, :6].std() == pytest.approx(0.02, rel=0.1)
    assert not shifts[:, 6].any()


def test_care_holds_tremor_back_where_it_is_taken() -> None:
    care = np.array([1.0, 0.0, 1.0, 1.0])
    shifts = Draws(HUMAN, 1).tremor(TIMES, care).shifts
    rows = np.arange(len(shifts)) * STEP_S
    assert np.abs(shifts[(rows > 0.7) & (rows < 1.3)]).max() > 1e-3
    assert not shifts[(rows >= 2.0) & (rows <= 4.0)].any()


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 4.5))
@settings(max_examples=60, deadline=None)
def test_a_tremor_moves_without_a_jump_and_its_velocity_is_its_slope(
    seed: int, time_s: float
) -> None:
    tremor = Draws(HUMAN, seed).tremor(TIMES, FREE)
    before, after = tremor.at(time_s - 1e-6)[0], tremor.at(time_s + 1e-6)[0]
    assert np.abs(after - before).max() < 1e-5
    if 1e-5 < time_s < 3.9:
        assert tremor.at(time_s)[1] == pytest.approx((after - before) / 2e-6, abs=1e-3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_pace_and_places_stay_near_what_the_script_has(seed: int) -> None:
    draws = Draws(HUMAN, seed)
    assert abs(draws.pace - 1) <= 2.5001 * HUMAN.pace
    assert np.abs(draws.place()).max() <= 2.5001 * HUMAN.place_m
