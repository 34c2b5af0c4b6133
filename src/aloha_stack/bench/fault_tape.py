"""What is measured of one arm while a fault strikes it: wire, physics, and what was published.

Nothing here is the bridge's own word but what it published, and that is what is judged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from aloha_stack.robot.joints import JOINTS

STAMP_WINDOW_S = (-0.02, 0.06)
"""A sample must have been the truth at some time within this of its stamp: the servos answer one
after the other, and a slow line carries one reading for tens of ms."""

TRUTH_TOLERANCE_RAD = 0.005
"""Rounding to servo ticks (0.0015 rad), and what happens between two looks at the physics."""


CYCLE_S, TICK_RAD = 0.01, 0.0016

SETTLE_S = 0.3
"""A joint that was falling when its torque came back swings out first."""


class State(NamedTuple):
    """The joints at model time `time_s`: position (7,) rad, and which are under torque (7,)."""

    time_s: float
    position: np.ndarray
    torque: np.ndarray


class Goal(NamedTuple):
    """A goal on the wire: joint index and rad; and, as it came, whether a servo of this joint had
    torque, and where it showed the joint to be (rad)."""

    time_s: float
    joint: int
    position: float
    torque: bool
    stands: float


class Point(NamedTuple):
    """Positions (7,) rad at a time: a commanded target, or a published joint state (its stamp)."""

    time_s: float
    position: np.ndarray


class Word(NamedTuple):
    """An arm's status as an operator gets it, at the model time of its arrival."""

    time_s: float
    well: bool
    mode: str
    reason: str
    failed_reads: int


@dataclass
class Tape:
    """The record of one arm during one case. Times are model time, s.

    `velocity_limit` (7,) rad/s is the fastest that its joints may be led; `lag` (7,) rad is how far
    they were from their goals at most in earlier motion, while all was well.
    """

    velocity_limit: np.ndarray = field(default_factory=lambda: np.full(7, np.inf))
    lag: np.ndarray = field(default_factory=lambda: np.zeros(7))
    states: list[State] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    commands: list[Point] = field(default_factory=list)
    samples: list[Point] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)


@dataclass(frozen=True)
class Motion:
    """What an arm did between the fault and its end, rad, the worst joint each.

    goals: how far goals under torque left the range of what was commanded, or jumped beyond the
    velocity limit. A joint may also be told to stay where it is (if that makes it creep away,
    `joints` shows it), or to go from there into that range: a gripper that presses against
    something stands outside. If it was limp, it may be held anywhere where it has been meanwhile.
    joints: how far joints under torque left that range, beyond how far they were from their goals
    before the fault (which hangs on speed and weight: the tape's `lag` is that of a whole motion).
    One that has just got its torque back may first come to rest (SETTLE_S).
    sag: how far limp joints moved from where they lost their torque.
    invented: how far a published position was from every true one around its stamp.
    """

    goals: float = 0.0
    joints: float = 0.0
    sag: float = 0.0
    invented: float = 0.0


def measure(tape: Tape, struck_s: float) -> Motion:
    """Of a tape that begins before the fault struck, at `struck_s`."""
    states = tuple(tape.states)  # the world may go on meanwhile
    times = np.array([state.time_s for state in states])
    position = np.array([state.position for state in states])
    torque = np.array([state.torque for state in states])
    return Motion(
        *_beyond_command(tape, times, position, torque, struck_s),
        sag=_sag(position, torque),
        invented=_invented(tape.samples, times, position),
    )


def _beyond_command(
    tape: Tape, times: np.ndarray, position: np.ndarray, torque: np.ndarray, struck_s: float
) -> tuple[float, float]:
    """Motion.goals and Motion.joints; nothing of it without commands (a leader, never driven)."""
    if not tape.commands:
        driven = torque.any() or any(goal.torque for goal in tape.goals)
        return (float("inf"), float("inf")) if driven else (0.0, 0.0)
    targets = np.array([point.position for point in tape.commands])
    low, high = targets.min(axis=0), targets.max(axis=0)
    limp = np.where(torque, np.nan, position)
    with np.errstate(invalid="ignore"):
        low, high = np.fmin(low, np.fmin.reduce(limp)), np.fmax(high, np.fmax.reduce(limp))
    for goal in tape.goals:
        if not goal.torque:  # between two states it may have been further still
            low[goal.joint] = min(low[goal.joint], goal.stands)
            high[goal.joint] = max(high[goal.joint], goal.stands)
    goals = 0.0
    last: dict[int, Goal] = {}
    for goal in tape.goals:
        joint = goal.joint
        if goal.torque and goal.time_s >= struck_s:
            lowest, highest = min(low[joint], goal.stands), max(high[joint], goal.stands)
            goals = max(goals, lowest - goal.position, goal.position - highest)
            if joint in last and last[joint].torque:
                jump = _jump(last[joint], goal, tape.velocity_limit[joint])
                goals = max(goals, min(jump, abs(goal.position - goal.stands)))
        last[joint] = goal
    before = times < struck_s
    lag = np.maximum(tape.lag, lag_of(goal for goal in tape.goals if goal.time_s < struck_s))
    excess = np.maximum(low - lag - position, position - high - lag)
    joints = float(np.max(excess[_held(times, torque) & ~before[:, None]], initial=0.0))
    return goals, joints


def _jump(before: Goal, goal: Goal, limit: float) -> float:
    """By how much the step from the goal `before` is longer than the velocity limit allows, rad."""
    elapsed_s = max(goal.time_s - before.time_s, CYCLE_S)
    return abs(goal.position - before.position) - limit * elapsed_s - TICK_RAD


def _held(times: np.ndarray, torque: np.ndarray) -> np.ndarray:
    """Which joints are under torque and were not limp within SETTLE_S before, (n, 7) bool."""
    limp_s = np.where(torque, -np.inf, times[:, None])
    return torque & (times[:, None] - np.maximum.accumulate(limp_s) > SETTLE_S)


def lag_of(goals: Iterable[Goal]) -> np.ndarray:
    """How far each joint (7,) was from its goals at most, rad."""
    lag = np.zeros(len(JOINTS))
    for goal in goals:
        lag[goal.joint] = max(lag[goal.joint], abs(goal.position - goal.stands))
    return lag


def _sag(position: np.ndarray, torque: np.ndarray) -> float:
    """How far joints moved from where they lost their torque; 0 for one that never had any."""
    lost = torque[:-1] & ~torque[1:]
    worst = 0.0
    for row, joint in zip(*np.nonzero(lost), strict=True):
        back = np.flatnonzero(torque[row + 1 :, joint])
        end = row + 1 + (back[0] if len(back) else len(torque))
        path = position[row:end, joint]
        worst = max(worst, float(np.abs(path - path[0]).max()))
    return worst


def _invented(samples: Iterable[Point], times: np.ndarray, position: np.ndarray) -> float:
    """How far the samples were from the truth around their stamps, beyond rounding."""
    worst = 0.0
    for sample in samples:
        first, last = np.searchsorted(times, np.add(sample.time_s, STAMP_WINDOW_S))
        around = position[first:last]
        if first == 0 or last == len(times):
            continue  # taken before the tape began, or as it ended
        if not np.isfinite(sample.position).all():
            return float("inf")
        away = np.maximum(
            around.min(axis=0) - sample.position, sample.position - around.max(axis=0)
        )
        worst = max(worst, float(away.max()) - TRUTH_TOLERANCE_RAD)
    return worst
