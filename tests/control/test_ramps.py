"""Ramps: from rest to rest, within limits, no faster than asked."""

import numpy as np
import pytest

from aloha_stack.control.courses import Wanted
from aloha_stack.control.joining import Joining
from aloha_stack.control.limits import JointLimiter
from aloha_stack.control.ramps import Ramp, ramp, smooth
from control.arms import arm

LIMITS = arm().limits


@pytest.mark.parametrize("distance", [1e-4, 0.05, 1.0, 2.5])
@pytest.mark.parametrize("speed", [0.3, 1.0, 9.0])
def test_a_ramp_keeps_its_top_speed_and_the_limits(distance: float, speed: float) -> None:
    start, end = np.zeros(7), np.linspace(-distance, distance, 7)
    course = ramp(start, end, speed, LIMITS)
    step = course.duration_s / 2000
    path = np.array([course.at(k * step)[0] for k in range(2001)])
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_allclose(path[-1], end)
    rates = path
    for limit in (np.minimum(LIMITS.velocity, speed), LIMITS.acceleration, LIMITS.jerk):
        rates = np.diff(rates, axis=0) / step
        assert (np.abs(rates) <= limit * 1.01).all()


def test_its_velocity_and_acceleration_are_derivatives() -> None:
    course = ramp(np.zeros(7), np.ones(7), 1.0, LIMITS)
    for time_s in np.linspace(0.01, course.duration_s - 0.01, 20):
        _, velocity, acceleration = course.at(time_s)
        later, earlier = course.at(time_s + 1e-5), course.at(time_s - 1e-5)
        np.testing.assert_allclose(velocity, (later[0] - earlier[0]) / 2e-5, atol=1e-5)
        np.testing.assert_allclose(acceleration, (later[1] - earlier[1]) / 2e-5, atol=1e-4)


def test_no_distance_takes_no_time() -> None:
    course = ramp(np.ones(7), np.ones(7), 1.0, LIMITS)
    assert course.duration_s == 0
    np.testing.assert_array_equal(course.at(0.0)[0], np.ones(7))


def test_before_and_after_it_stands_still() -> None:
    course = Ramp(np.zeros(7), np.ones(7), 2.0)
    for time_s, where in ((-1.0, 0.0), (2.0, 1.0), (9.0, 1.0)):
        position, *changes = course.at(time_s)
        np.testing.assert_array_equal(position, np.full(7, where))
        np.testing.assert_array_equal(changes, np.zeros((2, 7)))
    assert (smooth(-1), smooth(0.5), smooth(2)) == (0.0, 0.5, 1.0)


def moving(position: float, velocity: float = 0.0) -> Wanted:
    return Wanted(np.full(7, position), np.full(7, velocity), np.zeros(7))


def test_joining_catches_up_with_a_moving_target_without_a_jump() -> None:
    joining = Joining(0.01)
    joining.begin(np.zeros(7))
    points = [np.zeros(7)]
    for k in range(500):
        target = moving(1.0 + 0.7 * k * 0.01, 0.7)
        points.append(joining.towards(target).position)
        if not joining.active:
            break
    assert not joining.active
    steps = np.abs(np.diff(np.array(points), axis=0))[:-1]
    assert steps[0].max() <= 0.5 * 0.01 + 1e-9
    assert (steps <= (0.5 + 0.5 * 5) * 0.01).all()
    assert joining.towards(target) is target


def test_joining_arrives_at_a_target_at_rest_without_a_bump() -> None:
    joining, limiter = Joining(0.01), JointLimiter(LIMITS, 0.01)
    limiter.reset(np.zeros(7))
    joining.begin(np.zeros(7))
    path = []
    for _ in range(300):
        point = joining.towards(moving(0.4))
        path.append(limiter.step(point.position, point.velocity, point.acceleration))
    assert not joining.active
    assert np.max(path) < 0.4 + 1e-3
    np.testing.assert_allclose(path[-1], 0.4, atol=1e-3)


def test_joining_a_target_that_is_near_is_immediate() -> None:
    joining = Joining(0.01)
    joining.begin(np.zeros(7))
    near = moving(0.005, 0.005)
    assert joining.towards(near) is near
    assert not joining.active
