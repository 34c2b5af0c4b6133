"""Rows of a slow policy between its own, and chunks that take over alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.control.chunks import ChunkSchedule
from aloha_stack.control.row_rate import finer, rows_between
from control.chunk_rig import DT_NS, WIDTH, columns


@given(rows=st.integers(2, 12), number=st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_rows_in_between_lie_on_the_line_and_the_policys_own_stay(rows: int, number: int) -> None:
    own = np.random.default_rng(rows).normal(size=(rows, WIDTH))
    found = finer(own, number)
    assert found.shape == ((rows - 1) * number + 1, WIDTH)
    np.testing.assert_allclose(found[::number], own, atol=1e-12)
    places = np.arange(len(found)) / number
    np.testing.assert_allclose(found[:, 3], np.interp(places, np.arange(rows), own[:, 3]))


@pytest.mark.parametrize(("rate_hz", "number"), [(50, 1), (25, 2), (10, 5), (49.9, 1)])
def test_a_rate_that_the_player_is_a_multiple_of_is_taken(rate_hz: float, number: int) -> None:
    assert rows_between(50.0, rate_hz) == number


@pytest.mark.parametrize("rate_hz", [30.0, 100.0, 15.0])
def test_other_rates_are_refused_in_words(rate_hz: float) -> None:
    with pytest.raises(ValueError, match=f"rate is {rate_hz:g} Hz; the player plays 50 rows"):
        rows_between(50.0, rate_hz)


@pytest.mark.parametrize("mode", ["ensemble", "latest"])
def test_a_chunk_that_comes_alone_every_tick_is_all_that_counts(mode: str) -> None:
    """Row 1 is what was said for now; an average with what was said before would be late."""
    schedule = ChunkSchedule(DT_NS, mode, blend_s=0.0 if mode == "latest" else 0.2)
    course = np.random.default_rng(0).normal(size=200)
    for tick in range(1, 200):
        rows = np.array([course[tick - 1], course[tick], *[course[tick]] * 9])
        schedule.add((tick - 1) * DT_NS, columns(rows), tick * DT_NS, alone=True)
        target = schedule.target(tick * DT_NS)
        assert target.position == pytest.approx(np.full(WIDTH, course[tick]))
        assert target.chunks == 1
        assert not target.holding


def test_a_chunk_alone_holds_through_a_tenth_of_a_second_without_another() -> None:
    schedule = ChunkSchedule(DT_NS, "ensemble")
    rows = np.array([0.0, *[1.0] * 10])
    schedule.add(0, columns(rows), DT_NS, alone=True)
    for tick in range(1, 7):
        target = schedule.target(tick * DT_NS)
        assert target.position == pytest.approx(np.ones(WIDTH))
        assert not target.holding
