"""Courses of a hand, sent as commands to a stream and a limiter as a bridge has them, for tests.

Model time only: cycles at 100 Hz, targets at 50 Hz in whole encoder ticks, arriving when told.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from aloha_stack.control.commands import Command, CommandError, CommandStream
from aloha_stack.control.joining import Joining
from aloha_stack.control.limits import JointLimiter
from aloha_stack.control.ramps import smooth
from control.arms import arm

PERIOD_S, TICK_S, STEP_RAD = 0.01, 0.02, 2 * np.pi / 4096
LIMITS = arm().limits
PHASE_S = 0.004
"""Between the cycles of the bridge and the ticks of the sender."""

Course = Callable[[float], float]


class Arrival(NamedTuple):
    time_s: float
    command: Command


class Run(NamedTuple):
    """Cycle times (n,) s and goals (n, 7) rad, from rest at `start` rad."""

    times_s: np.ndarray
    goals: np.ndarray
    start: float

    def velocity(self, joint: int = 0) -> np.ndarray:
        return np.diff(self.goals[:, joint], prepend=self.start) / PERIOD_S


def reach(distance_rad: float, duration_s: float, start_s: float = 0.5) -> Course:
    """Minimum jerk from 0, as a hand reaches."""
    return lambda t: distance_rad * smooth((t - start_s) / duration_s)


def swing(amplitude_rad: float, rate_hz: float) -> Course:
    """A sine that begins gently."""
    return lambda t: amplitude_rad * np.sin(2 * np.pi * rate_hz * t) * smooth(t)


def slope(course: Course, time_s: float) -> float:
    return (course(time_s + 1e-4) - course(time_s - 1e-4)) / 2e-4


def targets(
    course: Course, duration_s: float, delays_s: Sequence[float] = (0.003,), dropped: int = 0
) -> list[Arrival]:
    """A stream of targets in all joints; they arrive late by `delays_s`, again and again; every
    `dropped`-th is lost."""
    arrivals = []
    for k in range(round(duration_s / TICK_S)):
        if dropped and k % dropped == dropped - 1:
            continue
        stamp_s = k * TICK_S
        value = round(course(stamp_s) / STEP_RAD) * STEP_RAD
        command = Command(stamp_s, (0.0,), np.full((1, 7), value))
        arrivals.append(Arrival(stamp_s + delays_s[k % len(delays_s)], command))
    return sorted(arrivals, key=lambda arrival: arrival.time_s)


def piece(
    course: Course,
    start_s: float,
    stamp_s: float | None = None,
    length_s: float = 2.0,
    step_s: float = 0.05,
    first: int = 0,
    velocities: bool = True,
) -> Command:
    """A trajectory along `course` from `start_s` on, without its first points if told."""
    times = np.arange(first, round(length_s / step_s)) * step_s
    points = np.array([np.full(7, course(start_s + t)) for t in times])
    speeds = np.array([np.full(7, slope(course, start_s + t)) for t in times])
    stamp_s = start_s if stamp_s is None else stamp_s
    return Command(stamp_s, tuple(times.tolist()), points, speeds if velocities else None)


def run(arrivals: Iterable[Arrival], duration_s: float, start: float = 0.0) -> Run:
    """What a bridge would write, from rest at `start`."""
    stream, limiter, joining = CommandStream(), JointLimiter(LIMITS, PERIOD_S), Joining(PERIOD_S)
    limiter.reset(np.full(7, start))
    waiting, times, goals = list(arrivals), [], []
    for cycle in range(round(duration_s / PERIOD_S)):
        now_s = cycle * PERIOD_S + PHASE_S
        while waiting and waiting[0].time_s <= now_s:
            time_s, command = waiting.pop(0)
            with contextlib.suppress(CommandError):  # it was overtaken on its way
                if stream.offer(command, time_s, limiter.position):
                    joining.begin(limiter.position)
        wanted = stream.wanted(now_s)
        if wanted is None:
            goals.append(limiter.stop())
        else:
            point = joining.towards(wanted)
            goals.append(limiter.step(point.position, point.velocity, point.acceleration))
        times.append(now_s)
    return Run(np.array(times), np.array(goals), start)


def assert_within_limits(made: Run) -> None:
    """Positions, and their differences over a period, in all joints."""
    assert (made.goals <= LIMITS.soft_upper + 1e-9).all()
    assert (made.goals >= LIMITS.soft_lower - 1e-9).all()
    rates = np.vstack([np.full((3, 7), made.start), made.goals])
    for limit in (LIMITS.velocity, LIMITS.acceleration, LIMITS.jerk):
        rates = np.diff(rates, axis=0) / PERIOD_S
        assert (np.abs(rates) <= limit * (1 + 1e-6)).all()


def delay_of(made: Run, course: Course, from_s: float = 0.3) -> tuple[float, float]:
    """By how many seconds the goals run behind `course`, and the rms (rad) that is left then."""
    rows = made.times_s >= from_s
    best = (np.inf, 0.0)
    for delay_s in np.arange(-0.03, 0.1, 0.001):
        expected = np.array([course(t - delay_s) for t in made.times_s[rows]])
        off = float(np.sqrt(np.mean((made.goals[rows, 0] - expected) ** 2)))
        best = min(best, (off, float(delay_s)))
    return best[1], best[0]


def ripple(made: Run, course: Course, delay_s: float, above_hz: float = 12.0) -> float:
    """Rms of the velocity (rad/s) above `above_hz` that is not the course's."""
    asked = np.array([slope(course, t - PERIOD_S / 2 - delay_s) for t in made.times_s])
    noise = (made.velocity() - asked)[30:]
    spectrum = np.fft.rfft(noise * np.hanning(len(noise)))
    spectrum[np.fft.rfftfreq(len(noise), PERIOD_S) < above_hz] = 0
    power = 2 * np.sum(np.abs(spectrum) ** 2) / len(noise) ** 2
    return float(np.sqrt(power / np.mean(np.hanning(len(noise)) ** 2)))
