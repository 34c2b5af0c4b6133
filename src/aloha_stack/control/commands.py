"""Commands for one arm: what is accepted, and what is wanted at a given instant."""

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aloha_stack.control.courses import Targets, Trajectory, Wanted, still
from aloha_stack.control.seams import Seams
from aloha_stack.robot.joints import JOINTS

MAX_RAD, MAX_RAD_S = 100.0, 100.0
"""No joint is ever meant to go so far or so fast: numbers beyond are an error of the sender."""

MAX_AHEAD_S = 10.0
"""A trajectory that is to start later than this has a wrong stamp."""


MAX_POINTS = 2000
"""Twenty seconds at 100 Hz. What is longer can be sent in pieces; no single message may keep the
bridge from its cycles."""

MIN_STEP_S = 1e-3
"""A tenth of a cycle. Shorter steps say nothing about the way, and may fall together once they are
added to the time of a clock."""

_ROUNDING_S = 1e-9

WAITING, LATE, AT_END = "waiting for commands", "late", "at the end of its trajectory"


def lacks_only_commands(reason: str) -> bool:
    """Whether an arm that holds for this reason, in a bridge's words, would follow a command."""
    return reason.startswith((WAITING, LATE, AT_END))


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
    that is not finite or absurd, times that do not increase by MIN_STEP_S at least, no point at all
    or more than MAX_POINTS.
    """
    if sorted(names) != sorted(JOINTS):
        missing = [joint for joint in JOINTS if joint not in names]
        strange = [name for name in names if name not in JOINTS]
        raise CommandError(
            f"joint names are {list(names)}; missing {missing or 'none'}, unknown "
            f"{strange or 'none'}; each of {', '.join(JOINTS)} must stand there once"
        )
    if len(positions) > MAX_POINTS:
        raise CommandError(
            f"the command has more than {MAX_POINTS} points; send it in pieces: each takes over "
            "from the one before at its stamp"
        )
    order = [list(names).index(joint) for joint in JOINTS]
    where = _table("positions", positions, MAX_RAD)[:, order]
    speeds = None
    if any(map(len, velocities)):
        speeds = _table("velocities", velocities, MAX_RAD_S)[:, order]
    times = tuple(map(float, times_s))
    if not all(math.isfinite(t) and t >= 0 for t in times):
        raise CommandError("time_from_start must not be negative")
    step_s = min((later - earlier for earlier, later in itertools.pairwise(times)), default=1.0)
    if step_s < MIN_STEP_S - _ROUNDING_S:
        raise CommandError(
            f"time_from_start must increase from point to point, by {MIN_STEP_S:g} s at least; the "
            f"smallest step is {step_s:g} s"
        )
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


Course = Trajectory | Targets


class CommandStream:
    """What the commands of one arm ask for at a given instant. Times are ROS time in seconds.

    Single targets make a stream (see Targets), which is late once its last target is older than
    `max_age_s`. A trajectory starts at its stamp, goes through its points (cubic Hermite;
    velocities that are not given are estimated, zero at the end), and at its end stays there, which
    is not late. A new command replaces the old one from its start on. If the old one is still under
    way, position and velocity go on without a jump, however far away the new one is: see Seams.
    """

    def __init__(self, max_age_s: float = 0.1) -> None:
        self.max_age_s = max_age_s
        self._seams = Seams()
        self._courses: list[tuple[float, Course]] = []
        """With the time from which each counts, in order."""

    def clear(self) -> None:
        """Forgets all commands: only fresh ones count from here."""
        self._courses = []
        self._seams.clear()

    def offer(self, command: Command, now_s: float, present: np.ndarray) -> bool:
        """Takes a command that arrived at `now_s`; `present` (7,) rad is where the goals are.

        True if it begins something new, which may be far away; False if it carries on what is under
        way: the next target of a stream, or anything that takes over from a motion.
        Raises CommandError if it is late, from the future, or older than the one before.
        """
        start_s = now_s if command.stamp_s is None else command.stamp_s
        self._check_time(command, start_s, now_s)
        if command.is_target and self._next_target(command, start_s):
            return False
        old = self.wanted(now_s)
        if old is None or old.ended:
            self.clear()
            self._courses = [(now_s, _course(command, start_s, now_s, still(present), False))]
            return True
        since_s = now_s if command.is_target else max(start_s, now_s)
        self._seams.drop(now_s, since_s)
        before = self._raw(since_s)
        course = _course(command, start_s, since_s, before, True)
        after = course.at(since_s)
        # One target does not tell how fast its stream moves: for all we know as fast as before.
        faster = after.velocity if command.is_target else before.velocity - after.velocity
        self._seams.add(since_s, before.position - after.position, faster)
        self._courses = [*(old for old in self._courses if old[0] < since_s), (since_s, course)]
        return False

    def wanted(self, now_s: float) -> Wanted | None:
        """What is wanted at `now_s`; None while there is no command in force (see `silence`)."""
        if not self._courses or self.silence(now_s):
            return None
        while len(self._courses) > 1 and self._courses[1][0] <= now_s:
            del self._courses[0]
        wanted = self._raw(now_s)
        seam = self._seams.at(now_s)
        if seam is None:
            return wanted
        position, velocity, acceleration = seam
        return Wanted(
            wanted.position + position,
            wanted.velocity + velocity,
            wanted.acceleration + acceleration,
        )

    def silence(self, now_s: float) -> str:
        """Why there is nothing to follow, in words; empty while there is."""
        if not self._courses:
            return WAITING
        course = self._courses[-1][1]
        if isinstance(course, Targets) and now_s - course.last_s > self.max_age_s:
            return f"{LATE}: the last target is older than {self.max_age_s:g} s"
        return ""

    def _check_time(self, command: Command, start_s: float, now_s: float) -> None:
        age = now_s - start_s
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
        if command.is_target and age < -self.max_age_s:
            raise CommandError(
                f"the target is stamped {-age:.3f} s in the future; check the sender's clock"
            )

    def _next_target(self, command: Command, start_s: float) -> bool:
        """Whether it was taken as the next target of the stream that is in force."""
        course = self._courses[-1][1] if self._courses else None
        if not isinstance(course, Targets):
            return False
        gap = start_s - course.last_s
        if gap < 0 or (gap == 0 and command.stamp_s is not None):
            raise CommandError("the target is not newer than the one before it")
        if gap > self.max_age_s:
            return False
        course.add(start_s, command.positions[0])
        return True

    def _raw(self, now_s: float) -> Wanted:
        """Of the course that counts at `now_s`, seams left out."""
        course = self._courses[0][1]
        for since_s, later in self._courses[1:]:
            if since_s <= now_s:
                course = later
        return course.at(now_s)


def _course(
    command: Command, start_s: float, since_s: float, before: Wanted, moving: bool
) -> Course:
    """What a command asks for, which takes over at `since_s` from `before`."""
    if command.is_target:
        return Targets(start_s, command.positions[0])
    since_s -= start_s
    times, knots, slopes = command.times_s, command.positions, command.velocities
    first: np.ndarray | None = None if moving else np.zeros(len(JOINTS))
    if times[0] > 0 and times[-1] > since_s + MIN_STEP_S:
        # It says when to be at its first point, not where to come from: from here.
        ahead = bisect_right(times, since_s + MIN_STEP_S)
        times, knots, first = (since_s, *times[ahead:]), knots[ahead:], before.velocity
        knots = np.vstack([before.position, knots])
        slopes = None if slopes is None else np.vstack([first, slopes[ahead:]])
    if slopes is None:
        slopes = _estimate(times, knots, first)
    return Trajectory(start_s, times, knots, slopes)


def _estimate(times: Sequence[float], knots: np.ndarray, first: np.ndarray | None) -> np.ndarray:
    """Slopes through `knots`: central differences, zero at the end; `first` may be given."""
    slopes = np.zeros_like(knots)
    if len(times) > 2:
        span = np.array(times[2:]) - np.array(times[:-2])
        slopes[1:-1] = (knots[2:] - knots[:-2]) / span[:, None]
    if first is not None:
        slopes[0] = first
    elif len(times) > 1:
        slopes[0] = (knots[1] - knots[0]) / (times[1] - times[0])
    return slopes
