"""The quickest stop in closed form, against stepping through it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.control.braking import State, after, brake, stop_phases, stop_range

A, J = 20.0, 500.0
states = st.builds(State, st.floats(-3, 3), st.floats(-4, 4), st.floats(-A, A))


@settings(deadline=None)
@given(states)
def test_the_phases_end_at_rest_within_the_limits(state: State) -> None:
    for jerk, duration in stop_phases(state.velocity, state.acceleration, A, J):
        assert abs(jerk) <= J
        assert duration >= 0
        state = after(state, jerk, duration)
        assert abs(state.acceleration) <= A + 1e-9
    assert state.velocity == pytest.approx(0, abs=1e-9)
    assert state.acceleration == pytest.approx(0, abs=1e-9)


@settings(deadline=None)
@given(states)
def test_braking_in_small_steps_follows_the_same_stop(state: State) -> None:
    low, high = stop_range(state, A, J)
    total = sum(duration for _, duration in stop_phases(*state[1:], A, J))
    end = brake(state, A, J, total + 0.01)
    seen = [state.position]
    for _ in range(int(total / 0.002) + 6):
        state = brake(state, A, J, 0.002)
        seen.append(state.position)
    assert state.position == pytest.approx(end.position, abs=1e-6)
    assert state[1:] == (0.0, 0.0)
    assert low - 1e-6 <= min(seen)
    assert max(seen) <= high + 1e-6
    assert min(seen) == pytest.approx(low, abs=1e-4)
    assert max(seen) == pytest.approx(high, abs=1e-4)


def test_at_rest_stays_at_rest() -> None:
    assert brake(State(1.5, 0.0, 0.0), A, J, 0.01) == State(1.5, 0.0, 0.0)
