"""What the robot perceived at one moment: samples of all streams that belong together, none stale.

A policy was trained on steps whose joints and pictures are those nearest in time to the step. Here
the step is the latest moment for which everything has arrived: the earliest of the streams' newest
stamps. Pictures that come 30 ms late then make an observation that is 30 ms old but of one piece,
and its chunk is aligned to that moment; the newest joints beside older pictures would be something
that no training has seen.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEPT_NS = 400_000_000
"""Longer than any sample may be old."""

AHEAD_S = 0.1
"""A stamp that lies farther ahead is of another clock."""

APART_S = 0.05
"""How far samples of a step may be from it, as in training (AlignmentSettings.tolerance_s)."""


class Missing(RuntimeError):
    """Something is missing, stale or from another clock; the message names it."""


@dataclass(frozen=True)
class Moment:
    """One sample of every stream. `stamp_ns`: the oldest stamp of its joints."""

    stamp_ns: int
    samples: Mapping[str, Any]


class Sight:
    """Keeps the last samples of streams: `joints` with their oldest age in s, and `cameras`.

    Times are ROS time in ns. Not for several threads at once.
    """

    def __init__(
        self, joints: Sequence[str], cameras: Sequence[str], joint_age_s: float, image_age_s: float
    ) -> None:
        self._joints = tuple(joints)
        self._most_s = dict.fromkeys(joints, joint_age_s)
        self._most_s |= dict.fromkeys(cameras, image_age_s)
        self._kept: dict[str, deque[tuple[int, Any]]] = {name: deque() for name in self._most_s}

    def add(self, stream: str, stamp_ns: int, sample: Any) -> None:
        """A sample arrived. One that repeats the last is passed over; one that is older shows that
        time went back, and what was before is forgotten."""
        kept = self._kept[stream]
        if kept and stamp_ns == kept[-1][0]:
            return
        if kept and stamp_ns < kept[-1][0]:
            kept.clear()
        kept.append((stamp_ns, sample))
        while stamp_ns - kept[0][0] > KEPT_NS:
            kept.popleft()

    def clear(self) -> None:
        """Forgets all samples."""
        for kept in self._kept.values():
            kept.clear()

    def problem(self, now_ns: int) -> str:
        """Every stream that is missing, stale or ahead, by name; empty if there is none."""
        found = (self._problem_of(name, now_ns) for name in self._kept)
        return "; ".join(filter(None, found))

    def moment(self, now_ns: int) -> Moment:
        """The latest moment. Raises Missing."""
        problem = self.problem(now_ns)
        if problem:
            raise Missing(problem)
        step_ns = min(kept[-1][0] for kept in self._kept.values())
        nearest = {
            name: min(kept, key=lambda sample: abs(sample[0] - step_ns))
            for name, kept in self._kept.items()
        }
        for name, (stamp_ns, _) in nearest.items():
            apart_s = (stamp_ns - step_ns) * 1e-9
            if abs(apart_s) > APART_S:
                raise Missing(
                    f"{name} has nothing nearer than {abs(apart_s):.3f} s to the others (at most "
                    f"{APART_S:g})"
                )
        stamp_ns = min((nearest[name][0] for name in self._joints), default=step_ns)
        return Moment(stamp_ns, {name: sample for name, (_, sample) in nearest.items()})

    def _problem_of(self, name: str, now_ns: int) -> str:
        kept = self._kept[name]
        if not kept:
            return f"nothing from {name} yet"
        age_s, most_s = (now_ns - kept[-1][0]) * 1e-9, self._most_s[name]
        if age_s > most_s:
            return f"{name} is {age_s:.2f} s old (at most {most_s:g})"
        if age_s < -AHEAD_S:
            return f"{name} is {-age_s:.2f} s ahead of the clock: check whose clock stamps it"
        return ""
