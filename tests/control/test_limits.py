"""The limiter: no output ever breaks a limit, and a target that keeps them is followed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.control.limits import JointLimiter
from control.arms import arm

PERIOD_S = 0.01
LIMITS = arm().limits
LIMITED = (LIMITS.velocity, LIMITS.acceleration, LIMITS.jerk)


def assert_within_limits(start: np.ndarray, outputs: list[np.ndarray]) -> None:
    """Positions, and their differences over the period, from rest at `start`."""
    path = np.array(outputs)
    assert (path <= LIMITS.soft_upper + 1e-9).all()
    assert (path >= LIMITS.soft_lower - 1e-9).all()
    rates = np.vstack([start, start, start, path])
    for limit in LIMITED:
        rates = np.diff(rates, axis=0) / PERIOD_S
        assert (np.abs(rates) <= limit * (1 + 1e-6)).all()


def follower(start: np.ndarray) -> JointLimiter:
    limiter = JointLimiter(LIMITS, PERIOD_S)
    limiter.reset(start)
    return limiter


numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.floats(-4, 4)
sevens = st.lists(numbers, min_size=7, max_size=7).map(np.array)
inside = st.lists(st.floats(0, 1), min_size=7, max_size=7).map(
    lambda share: LIMITS.soft_lower + np.array(share) * (LIMITS.soft_upper - LIMITS.soft_lower)
)
calls = st.tuples(sevens, sevens, st.integers(1, 25), st.booleans())


@settings(max_examples=60, deadline=None)
@given(start=inside, script=st.lists(calls, min_size=1, max_size=12))
def test_no_input_breaks_a_limit(start: np.ndarray, script: list) -> None:
    limiter, outputs = follower(start), []
    for target, velocity, cycles, stopping in script:
        for _ in range(cycles):
            outputs.append(limiter.stop() if stopping else limiter.step(target, velocity))
    assert_within_limits(start, outputs)


@pytest.mark.parametrize("kind", ["noise", "jumps to the ends", "fast sine", "random velocity"])
def test_no_rough_stream_breaks_a_limit(kind: str) -> None:
    random = np.random.default_rng(5)
    start = random.uniform(LIMITS.soft_lower, LIMITS.soft_upper)
    limiter, outputs, target = follower(start), [], start
    for k in range(1500):
        velocity = np.zeros(7)
        if kind == "noise":
            target = random.uniform(2 * LIMITS.lower, 2 * LIMITS.upper)
        elif kind == "jumps to the ends" and k % 41 == 0:
            target = np.where(random.random(7) < 0.5, LIMITS.lower, LIMITS.upper) * 5
        elif kind == "fast sine":
            target = start + 0.4 * np.sin(k * 0.2)
            velocity = np.full(7, 8 * np.cos(k * 0.2))
        elif kind == "random velocity":
            target, velocity = start, random.normal(0, 20, 7)
        outputs.append(limiter.step(target, velocity))
    assert_within_limits(start, outputs)


@pytest.mark.parametrize("period_s", [0.002, 0.005, 0.02])
def test_limits_hold_at_other_rates(period_s: float) -> None:
    random = np.random.default_rng(1)
    limiter = JointLimiter(LIMITS, period_s)
    limiter.reset(np.zeros(7))
    path = [np.zeros(7)] * 3
    for k in range(800):
        if k % 60 == 0:
            target = random.uniform(1.5 * LIMITS.lower, 1.5 * LIMITS.upper)
        path.append(limiter.step(target))
    rates = np.array(path)
    for limit in LIMITED:
        rates = np.diff(rates, axis=0) / period_s
        assert (np.abs(rates) <= limit * (1 + 1e-6)).all()


def test_a_target_at_constant_velocity_is_followed_without_lag() -> None:
    limiter, speed = follower(np.zeros(7)), 1.2
    for k in range(1, 80):
        position = limiter.step(np.full(7, speed * k * PERIOD_S), np.full(7, speed))
    np.testing.assert_allclose(position, speed * 79 * PERIOD_S, atol=1e-5)


def test_a_moderate_motion_is_followed_closely() -> None:
    limiter, angular = follower(np.zeros(7)), 2 * np.pi * 0.5
    worst = 0.0
    for k in range(1, 400):
        t = k * PERIOD_S
        target = np.full(7, 0.3 * np.sin(angular * t))
        velocity = np.full(7, 0.3 * angular * np.cos(angular * t))
        worst = max(worst, float(np.max(np.abs(limiter.step(target, velocity) - target))))
        if k == 60:
            worst = 0.0  # it had to catch up from rest
    assert worst < 0.005


@pytest.mark.parametrize("distance", [0.01, 0.1, 0.5, 1.0])
def test_a_step_is_reached_without_overshoot(distance: float) -> None:
    limiter = follower(np.zeros(7))
    path = np.array([limiter.step(np.full(7, distance)) for _ in range(200)])
    assert path.max() <= distance * 1.01
    np.testing.assert_allclose(path[-1], distance, atol=1e-4)


def test_a_target_beyond_the_limits_ends_at_the_limit_with_its_margin() -> None:
    limiter = follower(np.zeros(7))
    for _ in range(400):
        position = limiter.step(np.full(7, 99.0), np.full(7, 50.0))
    np.testing.assert_allclose(position, LIMITS.upper - LIMITS.margin_rad, atol=1e-4)
    assert limiter.clamps(np.full(7, 99.0))
    assert not limiter.clamps(position - 1e-3)
    inside = np.tile(position - 1e-3, (5, 1))
    assert not limiter.clamps(inside)
    inside[3, 2] = -99.0
    assert limiter.clamps(inside)


def test_stop_comes_to_rest_and_stays() -> None:
    limiter = follower(np.zeros(7))
    for _ in range(40):
        limiter.step(np.full(7, 1.2), np.full(7, 2.0))
    path = [limiter.stop() for _ in range(60)]
    assert limiter.at_rest
    np.testing.assert_array_equal(path[-1], path[-2])
    assert (np.abs(path[-1] - path[0]) < 0.5).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_and_move_nothing(bad: float) -> None:
    limiter = follower(np.zeros(7))
    limiter.step(np.full(7, 0.2))
    before = limiter.position
    target = np.zeros(7)
    target[2] = bad
    with pytest.raises(ValueError, match="target of elbow is not a finite"):
        limiter.step(target)
    with pytest.raises(ValueError, match="target_velocity of elbow"):
        limiter.step(np.zeros(7), target)
    with pytest.raises(ValueError, match="expected \\(7,\\)"):
        limiter.step(np.zeros(6))
    np.testing.assert_array_equal(limiter.position, before)


def test_an_arm_found_outside_its_limits_only_moves_inwards() -> None:
    start = LIMITS.upper + 0.05
    limiter = follower(start)
    np.testing.assert_array_equal(limiter.step(start + 1.0), limiter.position)
    path = [limiter.step(start + 1.0, np.full(7, 3.0)) for _ in range(300)]
    assert (np.diff(np.array(path), axis=0) <= 1e-9).all()
    np.testing.assert_allclose(path[-1], LIMITS.soft_upper, atol=1e-4)
