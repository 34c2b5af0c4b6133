"""The quickest stop of one joint within its acceleration and jerk limits, in closed form.

From velocity v and acceleration a the joint is brought to rest (v = 0, a = 0): jerk to the peak
deceleration, hold it, jerk back to zero. Write u = v + a|a| / 2J for the velocity that is left
once the acceleration is brought to zero at full jerk J, and mirror the axis so that u >= 0. The
velocities then add up to zero if the peak deceleration is

    d = min(A, sqrt(J v + a^2 / 2)),      held for  (v + (a^2 - 2 d^2) / 2J) / d  seconds.
"""

import math
from typing import NamedTuple


class State(NamedTuple):
    """One joint: rad, rad/s, rad/s^2."""

    position: float
    velocity: float
    acceleration: float


def after(state: State, jerk: float, time_s: float) -> State:
    """The state after `time_s` of constant jerk (rad/s^3)."""
    p, v, a = state
    t = time_s
    return State(p + t * (v + t * (a / 2 + t * jerk / 6)), v + t * (a + t * jerk / 2), a + t * jerk)


def stop_phases(
    velocity: float, acceleration: float, max_acceleration: float, max_jerk: float
) -> tuple[tuple[float, float], ...]:
    """The quickest stop as three phases (jerk rad/s^3, duration s), from within the limits."""
    v, a, top, jerk = velocity, acceleration, max_acceleration, max_jerk
    left = v + a * abs(a) / (2 * jerk)
    sign = 1.0 if left >= 0 else -1.0
    v, a = sign * v, sign * a
    peak = min(top, math.sqrt(max(0.0, jerk * v + a * a / 2)))
    peak = max(peak, -a)
    hold = (v + (a * a - 2 * peak * peak) / (2 * jerk)) / peak if peak > 0 else 0.0
    return (
        (-sign * jerk, max(0.0, (a + peak) / jerk)),
        (0.0, max(0.0, hold)),
        (sign * jerk, peak / jerk),
    )


def brake(state: State, max_acceleration: float, max_jerk: float, time_s: float) -> State:
    """The state after `time_s` of the quickest stop; at rest, exactly, once it has ended."""
    left = time_s
    for jerk, duration in stop_phases(*state[1:], max_acceleration, max_jerk):
        if left < duration:
            return after(state, jerk, left)
        state = after(state, jerk, duration)
        left -= duration
    return State(state.position, 0.0, 0.0)


def stop_range(state: State, max_acceleration: float, max_jerk: float) -> tuple[float, float]:
    """The lowest and the highest position (rad) from here to the end of the quickest stop."""
    start = state.position
    phases = stop_phases(*state[1:], max_acceleration, max_jerk)
    turn = start
    if state.velocity * phases[2][0] < 0:
        # Still moving the other way: it turns in the first phase, where v + a t + j t^2 / 2 = 0.
        _, v, a = state
        jerk = phases[0][0]
        root = math.sqrt(max(0.0, a * a - 2 * jerk * v))
        turn = after(state, jerk, max(0.0, (abs(a) - root) / abs(jerk))).position
    for jerk, duration in phases:
        state = after(state, jerk, duration)
    end = state.position
    return min(start, turn, end), max(start, turn, end)
