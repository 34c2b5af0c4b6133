"""The last word before the wire: every joint within its limits, whatever is asked."""

import math

import numpy as np

from aloha_stack.control.braking import State, after, brake, stop_range
from aloha_stack.robot.description import Limits
from aloha_stack.robot.joints import JOINTS

BANDWIDTH_RAD_S = 40.0
"""How quickly a small deviation from the target is made good: three equal poles at -40 rad/s."""

PLANNED = 0.4
"""The part of acceleration and jerk that approaches plan with; the rest is for corrections."""

REST_RAD_S, REST_RAD_S2 = 1e-4, 1e-2
"""Slower than this counts as rest: the law nears its target for ever, ever more slowly."""

_ROUNDING = 1e-12


class JointLimiter:
    """Follows a target with the seven joints of an arm, each within its own limits.

    Every position that step() and stop() return, and its first, second and third difference over
    `period_s`, obey position (with margin), velocity, acceleration and jerk limits. This holds for
    any target: each joint is a jerk-limited motion, and a step is taken only if the quickest stop
    after it still ends within the position limits; else the joint brakes.

    A target that keeps the limits is followed without lag: its velocity and acceleration are fed
    forward, and the law pulls on the deviation only. `behind` tells how far a target was off that
    asked for more than the limits allow.

    Not thread-safe. About 40 us a step.
    """

    def __init__(
        self, limits: Limits, period_s: float, bandwidth_rad_s: float = BANDWIDTH_RAD_S
    ) -> None:
        if not 0 < period_s <= 0.1:
            raise ValueError(f"period_s is {period_s}; expected up to 0.1 s")
        self.period_s = period_s
        self.lower, self.upper = limits.soft_lower, limits.soft_upper
        # Poles slower than the sampling can carry.
        bandwidth = min(bandwidth_rad_s, 0.6 / period_s)
        self._joints = [
            _Joint(low, high, speed, acceleration, jerk, period_s, bandwidth)
            for low, high, speed, acceleration, jerk in zip(
                self.lower.tolist(),
                self.upper.tolist(),
                limits.velocity.tolist(),
                limits.acceleration.tolist(),
                limits.jerk.tolist(),
                strict=True,
            )
        ]

    def reset(self, position: np.ndarray) -> None:
        """At rest at `position` (7,) rad. A joint outside its limits may only move inwards."""
        start = _seven(position, "position")
        for joint, value in zip(self._joints, start, strict=True):
            joint.reset(value)

    def step(
        self,
        target: np.ndarray,
        target_velocity: np.ndarray | None = None,
        target_acceleration: np.ndarray | None = None,
    ) -> np.ndarray:
        """The positions (7,) rad for the next instant, one period on.

        `target` (7,) rad is where the joints should be at that instant, `target_velocity` (7,)
        rad/s and `target_acceleration` (7,) rad/s^2 how the target moves then (0 if left out).
        A ValueError for numbers that are not finite or of the wrong shape; nothing has moved then.
        """
        where = _seven(target, "target")
        speed = changes = [0.0] * len(JOINTS)
        if target_velocity is not None:
            speed = _seven(target_velocity, "target_velocity")
        if target_acceleration is not None:
            changes = _seven(target_acceleration, "target_acceleration")
        asked = zip(self._joints, where, speed, changes, strict=True)
        return np.array([joint.follow(*motion) for joint, *motion in asked])

    def stop(self) -> np.ndarray:
        """Like step(), on the way to the quickest stop within the limits."""
        return np.array([joint.stop() for joint in self._joints])

    @property
    def at_rest(self) -> bool:
        """Whether no joint moves to speak of."""
        return all(
            abs(joint.state.velocity) < REST_RAD_S and abs(joint.state.acceleration) < REST_RAD_S2
            for joint in self._joints
        )

    @property
    def position(self) -> np.ndarray:
        """The last position returned (7,) rad."""
        return np.array([joint.state.position for joint in self._joints])

    @property
    def velocity(self) -> np.ndarray:
        """The velocity at the last position (7,) rad/s."""
        return np.array([joint.state.velocity for joint in self._joints])

    @property
    def behind(self) -> np.ndarray:
        """How far the last target of step(), brought within the position limits, was ahead of where
        the joints went (7,) rad: what velocity, acceleration and jerk limits held back. 0 after
        stop() and reset()."""
        return np.array([joint.behind for joint in self._joints])

    @property
    def furthest_behind(self) -> float:
        """The greatest of `behind`, rad, whichever way; for every cycle."""
        return max(abs(joint.behind) for joint in self._joints)

    def clamps(self, targets: np.ndarray) -> bool:
        """Whether a part of `targets`, (7,) or (n, 7) rad, lies outside the position limits.

        May be called from any thread.
        """
        return bool(((targets < self.lower) | (targets > self.upper)).any())


def _seven(values: np.ndarray, name: str) -> list[float]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(JOINTS),):
        raise ValueError(f"{name} has shape {array.shape}, expected ({len(JOINTS)},)")
    numbers: list[float] = array.tolist()
    if not all(map(math.isfinite, numbers)):
        bad = [j for j, x in zip(JOINTS, numbers, strict=True) if not math.isfinite(x)]
        raise ValueError(f"{name} of {', '.join(bad)} is not a finite number")
    return numbers


class _Joint:
    """One joint: a state, and the choice of one jerk per period."""

    def __init__(
        self,
        lower: float,
        upper: float,
        velocity: float,
        acceleration: float,
        jerk: float,
        period_s: float,
        bandwidth_rad_s: float,
    ) -> None:
        self.lower, self.upper = lower, upper
        self.max_velocity, self.max_acceleration, self.max_jerk = velocity, acceleration, jerk
        self.period_s = period_s
        # (s + w)^3 = s^3 + 3w (s^2 + w (s + w/3)): the slopes of three nested loops.
        self._from_error = _Approach(bandwidth_rad_s / 3, PLANNED * acceleration)
        self._from_velocity = _Approach(bandwidth_rad_s, PLANNED * jerk)
        self._share = 1 - math.exp(-3 * bandwidth_rad_s * period_s)
        self.reset(min(max(0.0, lower), upper))

    def reset(self, position: float) -> None:
        self.state = State(position, 0.0, 0.0)
        self.behind = 0.0
        self._low, self._high = min(self.lower, position), max(self.upper, position)

    def stop(self) -> float:
        self.behind = 0.0
        return self._take(self._braked())

    def follow(self, target: float, velocity: float, acceleration: float) -> float:
        target, speed, change = self._within(target, velocity, acceleration)
        p, v, a = self.state
        period, top = self.period_s, self.max_velocity
        # Where the target was one period ago, and how fast, beside where the joint is now.
        away = target - period * (speed - period * change / 2) - p
        wanted = speed - period * change + self._from_error(away)
        wanted = min(max(wanted, -top), top)
        if change * away < 0 and abs(away) > self._stopping_distance(v):
            change = 0.0  # the target slows down, but there is still a way to go at full speed
        pull = change + self._from_velocity(wanted - v)
        aim = a + self._share * (pull - a)
        low, high = self._acceleration_range()
        aim = min(max(aim, low), high)
        candidate = after(self.state, (aim - a) / period, period)
        candidate = State(candidate.position, candidate.velocity, aim)
        if not self._may_stop_after(candidate):
            candidate = self._braked()
        self.behind = target - candidate.position
        return self._take(candidate)

    def _within(self, target: float, velocity: float, change: float) -> tuple[float, float, float]:
        """What of a target's motion is within the limits; beyond a position limit it rests."""
        top, most = self.max_velocity, self.max_acceleration
        velocity, change = min(max(velocity, -top), top), min(max(change, -most), most)
        if target >= self.upper:
            return self.upper, min(velocity, 0.0), min(change, 0.0)
        if target <= self.lower:
            return self.lower, max(velocity, 0.0), max(change, 0.0)
        return target, velocity, change

    def _stopping_distance(self, velocity: float) -> float:
        speed = abs(velocity)
        top = self.max_acceleration
        return speed * (speed / top + top / self.max_jerk) / 2

    def _braked(self) -> State:
        return brake(self.state, self.max_acceleration, self.max_jerk, self.period_s)

    def _acceleration_range(self) -> tuple[float, float]:
        """Accelerations after this period that obey the limits and leave a way to go on obeying.

        Acceleration, jerk, mean velocity over the period, velocity after it, and the velocity that
        would be reached while the acceleration then goes back to zero. Never empty.
        """
        _, v, a = self.state
        step = self.max_jerk * self.period_s
        high = min(self.max_acceleration, a + step, self._highest(v, a))
        low = max(-self.max_acceleration, a - step, -self._highest(-v, -a))
        return (low, high) if low <= high else (high, high)

    def _highest(self, v: float, a: float) -> float:
        """The greatest acceleration b after the period that the velocity limit V allows.

        Velocity then is v + (a + b) T/2, its mean on the way v + a T/3 + b T/6. For b > 0 the
        velocity goes on growing by b^2 / 2J.
        """
        period, jerk = self.period_s, self.max_jerk
        room = self.max_velocity - v - a * period / 2
        mean = 6 * (room + a * period / 6) / period
        if room < 0:
            return min(mean, 2 * room / period)
        half = period / 2
        return min(mean, jerk * (math.sqrt(half * half + 2 * room / jerk) - half))

    def _may_stop_after(self, candidate: State) -> bool:
        low, high = stop_range(candidate, self.max_acceleration, self.max_jerk)
        return self._low - _ROUNDING <= low and high <= self._high + _ROUNDING

    def _take(self, state: State) -> float:
        self.state = state
        if self._low < self.lower or self._high > self.upper:
            # Began outside the limits: no further out than the next stop needs.
            low, high = stop_range(state, self.max_acceleration, self.max_jerk)
            self._low, self._high = min(self.lower, low), max(self.upper, high)
        return state.position


class _Approach:
    """Speed towards zero deviation: proportional when near, sqrt(2 d |x|) when far.

    `deceleration` d is what it plans to slow down with; `slope` (1/s) is the proportional gain. The
    square root is shifted so that the two meet with the same value and slope.
    """

    def __init__(self, slope: float, deceleration: float) -> None:
        self.slope, self.twice = slope, 2 * deceleration
        self.near = deceleration / slope**2

    def __call__(self, deviation: float) -> float:
        size = abs(deviation)
        if size <= self.near:
            return self.slope * deviation
        return math.copysign(math.sqrt(self.twice * (size - self.near / 2)), deviation)
