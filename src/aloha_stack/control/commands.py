"""Commands for one arm: what is accepted, and what is wanted at a given instant."""

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aloha_stack.robot.joints import JOINTS

SEAM_RAD = 0.02
"""A trajectory that begins no further than this from the one it replaces carries it on."""

TICK_S = 0.02
"""The period of a stream of single targets, before two of them have told it."""


MAX_RAD, MAX_RAD_S = 100.0, 100.0
"""No joint is ever meant to go so far or so fast: numbers beyond are an error of the sender."""

MAX_AHEAD_S = 10.0
"""A trajectory that is to start later than this has a wrong stamp."""


class CommandError(ValueError):
    """A command that moves nothing; the message says why, and what was expected."""


@dataclass(frozen=True)
class Command:
    """A checked command, joints in the order of JOINTS.

    `times_s` (n,) from the start, `positions` (n, 7) rad, `velocities` (n, 7) rad/s or None;
    `stamp_s` is when it starts, None if the sender left that open (at once).
    """

    stamp_s: float | None
    times_s: tuple[float, ...]
    positions: np.ndarray
    velocities: np.ndarray | None = None

    @property
    def is_target(self) -> bool:
        """A single point for now: one of a stream. All else is a trajectory."""
        return self.times_s == (0.0,)


def check_command(
    names: Sequence[str],
    positions: Sequence[Sequence[float]],
    velocities: Sequence[Sequence[float]],
    times_s: Sequence[float],
    stamp_s: float | None,
) -> Command:
    """A command from what was sent: joint names in any order, and per point its positions (rad),
    velocities (rad/s; all empty if not given) and time from the start (s).

    Raises CommandError: names other than the seven joints, a point of the wrong length, a number
    that is not finite or absurd, times that do not increase, no point at all.
    """
    if sorted(names) != sorted(JOINTS):
        missing = [joint for joint in JOINTS if joint not in names]
        strange = [name for name in names if name not in JOINTS]
        raise CommandError(
            f"joint names are {list(names)}; missing {missing or 'none'}, unknown "
            f"{strange or 'none'}; each of {', '.join(JOINTS)} must stand there once"
        )
    order = [list(names).index(joint) for joint in JOINTS]
    where = _table("positions", positions, MAX_RAD)[:, order]
    speeds = None
    if any(map(len, velocities)):
        speeds = _table("velocities", velocities, MAX_RAD_S)[:, order]
    times = tuple(map(float, times_s))
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise CommandError("time_from_start must increase from point to point")
    if not all(math.isfinite(t) and t >= 0 for t in times):
        raise CommandError("time_from_start must not be negative")
    if not len(times) == len(where) == (len(times) if speeds is None else len(speeds)):
        raise CommandError("positions, velocities and times must be equally many")
    return Command(stamp_s, times, where, speeds)


def _table(what: str, rows: Sequence[Sequence[float]], most: float) -> np.ndarray:
    if not rows:
        raise CommandError("the command has no points; expected at least one")
    for number, row in enumerate(rows):
        if len(row) != len(JOINTS):
            raise CommandError(f"point {number} has {len(row)} {what}; expected {len(JOINTS)}")
    table = np.array(rows, dtype=np.float64)
    if not np.isfinite(table).all():
        raise CommandError(f"{what} contain a number that is not finite")
    if (np.abs(table) > most).any():
        worst = float(np.max(np.abs(table)))
        raise CommandError(f"{what} contain {worst:g}; at most {most:g} makes sense, in radians")
    return table


@dataclass(frozen=True)
class Wanted:
    """Where the joints should be now, (7,) rad, and how fast that moves, (7,) rad/s."""

    position: np.ndarray
    velocity: np.ndarray
    ended: bool = False


class CommandStream:
    """What the commands of one arm ask for at a given instant. Times are ROS time in seconds.

    Single targets are joined by straight lines: the target stamped t is reached one tick after t,
    so that the 100 Hz cycle sees no steps between 50 Hz targets. A stream of them is late once its
    last target is older than `max_age_s`. A trajectory starts at its stamp, goes through its points
    (cubic Hermite; velocities that are not given are estimated, zero at both ends), and at its end
    stays there, which is not late. A new command replaces the old one.
    """

    def __init__(self, max_age_s: float = 0.1) -> None:
        self.max_age_s = max_age_s
        self._course: _Course | None = None
        self._last_target_s: float | None = None

    def clear(self) -> None:
        """Forgets all commands: only fresh ones count from here."""
        self._course = None
        self._last_target_s = None

    def offer(self, command: Command, now_s: float, present: np.ndarray) -> bool:
        """Takes a command that arrived at `now_s`; `present` (7,) rad is where the goals are.

        True if it begins something new, which may be far away; False if it carries on what is in
        force: the next target of a stream, or a trajectory along the one before.
        Raises CommandError if it is late, from the future, or older than the one before.
        """
        start = now_s if command.stamp_s is None else command.stamp_s
        age = now_s - start
        if age > self.max_age_s:
            raise CommandError(
                f"the command is late: stamped {age:.3f} s ago, at most {self.max_age_s:g} s is "
                "allowed; check the sender's rate, and its clock"
            )
        if age < -MAX_AHEAD_S:
            raise CommandError(
                f"the command is stamped {-age:.3f} s in the future, at most {MAX_AHEAD_S:g} s "
                "is allowed; check the sender's clock"
            )
        if not command.is_target:
            old = None if self.silence(now_s) else self._course
            self._course = _trajectory(command, start, present)
            self._last_target_s = None
            if old is None:
                return True
            joint_s = max(start, now_s)
            seam = self._course.at(joint_s).position - old.at(joint_s).position
            if start > now_s:
                self._course = self._course.after(old, now_s)
            return float(np.max(np.abs(seam))) > SEAM_RAD
        if age < -self.max_age_s:
            raise CommandError(
                f"the target is stamped {-age:.3f} s in the future; check the sender's clock"
            )
        target = command.positions[0]
        tick, before, goes_on = TICK_S, target, False
        if self._last_target_s is not None and self._course is not None:
            gap = start - self._last_target_s
            if gap < 0 or (gap == 0 and command.stamp_s is not None):
                raise CommandError("the target is not newer than the one before it")
            if gap <= self.max_age_s:
                tick, before, goes_on = gap or TICK_S, self._course.at(start).position, True
        slope = (target - before) / tick
        knots, slopes = np.stack([before, target]), np.stack([slope, slope])
        self._course = _Course((start, start + tick), knots, slopes, True)
        self._last_target_s = start
        return not goes_on

    def wanted(self, now_s: float) -> Wanted | None:
        """What is wanted at `now_s`; None while there is no command in force (see `silence`)."""
        if self._course is None or self.silence(now_s):
            return None
        return self._course.at(now_s)

    def silence(self, now_s: float) -> str:
        """Why there is nothing to follow, in words; empty while there is."""
        if self._course is None:
            return "waiting for commands"
        last = self._last_target_s
        if last is not None and now_s - last > self.max_age_s:
            return f"late: the last target is older than {self.max_age_s:g} s"
        return ""


@dataclass(frozen=True)
class _Course:
    """Cubic pieces through `knots` (n, 7) at `times_s` with `slopes` (n, 7)."""

    times_s: tuple[float, ...]
    knots: np.ndarray
    slopes: np.ndarray
    is_stream: bool

    def after(self, old: "_Course", now_s: float) -> "_Course":
        """This course, led up to by the rest of `old` from `now_s` on."""
        kept = [t for t in old.times_s if now_s < t < self.times_s[0]]
        times = [now_s, *kept]
        way = [old.at(t) for t in times]
        return _Course(
            (*times, *self.times_s),
            np.vstack([*(wanted.position for wanted in way), self.knots]),
            np.vstack([*(wanted.velocity for wanted in way), self.slopes]),
            False,
        )

    def at(self, now_s: float) -> Wanted:
        times = self.times_s
        if now_s >= times[-1]:
            ended = not self.is_stream
            return Wanted(self.knots[-1], np.zeros(self.knots.shape[1]), ended)
        if now_s < times[0]:
            return Wanted(self.knots[0], np.zeros(self.knots.shape[1]))
        i = bisect_right(times, now_s) - 1
        span = times[i + 1] - times[i]
        t = (now_s - times[i]) / span
        p0, p1 = self.knots[i], self.knots[i + 1]
        m0, m1 = self.slopes[i] * span, self.slopes[i + 1] * span
        # p = p0 + m0 t + c t^2 + d t^3 with p(1) = p1, p'(1) = m1.
        c, d = 3 * (p1 - p0) - 2 * m0 - m1, 2 * (p0 - p1) + m0 + m1
        position = p0 + t * (m0 + t * (c + t * d))
        return Wanted(position, (m0 + t * (2 * c + 3 * t * d)) / span)


def _trajectory(command: Command, start_s: float, present: np.ndarray) -> _Course:
    times, knots, slopes = list(command.times_s), command.positions, command.velocities
    if times[0] > 0:
        # It says when to be at its first point, not where to come from: from here.
        times.insert(0, 0.0)
        knots = np.vstack([present, knots])
        slopes = None if slopes is None else np.vstack([np.zeros(len(JOINTS)), slopes])
    if slopes is None:
        slopes = np.zeros_like(knots)
        if len(times) > 2:
            span = np.array(times[2:]) - np.array(times[:-2])
            slopes[1:-1] = (knots[2:] - knots[:-2]) / span[:, None]
    return _Course(tuple(start_s + t for t in times), knots, slopes, False)
