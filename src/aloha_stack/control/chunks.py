"""Chunks of a policy into one smooth stream of targets, whenever they arrive.

A chunk is a row of absolute targets dt apart, made from an observation; its row k is meant for
k * dt after that observation, however late the chunk arrives. At time t it contributes the row
(t - stamp) / dt, interpolated.

Two modes say which chunks share in the target:

- "latest": the newest one, from its arrival on;
- "ensemble": all that reach to now, with weights exp(-m i), i = 0 the oldest (Zhao et al.,
  "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware", 2023, section IV-B). i
  counts ticks between *observations*: with a chunk every tick it is the paper's count, and with
  fewer it keeps the paper's weighting over time, so that m means the same at any inference time.

A chunk that comes `alone` takes over from all that were before it in either mode. So do those of a
policy with a memory: it has one thing to say at a time, and an average with what it said before
would only be late. It may say it every few ticks: late is what comes later than the one before did.

Whenever a chunk joins or leaves, the shares go over smoothly within a fading time T (shares.py), a
chunk that ends leaves T before its end, and the stream stays in the midst of the chunks: its
velocity differs from theirs by 1.875 D / T at most, where D is how far they disagree. T is never
more than half of what a chunk covers. In "latest" it is `blend_s`. In "ensemble" it follows the
rhythm: while a chunk joins every tick (none later than LATE_TICKS after the one before) T is one
tick, which is no fade at all, so that the result is exactly the paper's: there a chunk comes in or
goes with a share of 1/n, and any fade would alter the average. As soon as one is overdue T grows
with time up to `blend_s`, so that the one which comes in then, and shifts the average by much more,
fades in; and when the rhythm is back, T shrinks four times as slowly.

When the newest chunk comes to its end the time in which all are read slows down to a stand within
STOP_S: the stream stays on the way that was predicted, and ends in a hold. From a hold the next
chunk fades in, over longer than `blend_s` if it is far away or moves fast.
"""

from dataclasses import dataclass

import numpy as np

from aloha_stack.control.chunk_ring import ChunkRing
from aloha_stack.control.shares import FadingShares
from aloha_stack.robot.joints import ARM_JOINTS, FOLLOWERS, JOINTS

MODES = ("latest", "ensemble")
WIDTH = len(FOLLOWERS) * len(JOINTS)
MAX_ROWS = 500
"""Ten seconds at 50 Hz: no policy looks farther ahead."""

LATE_TICKS = 1.5
SHRINKING = 0.25
"""How fast the fading time shrinks, in seconds per second."""

SPACING_TICKS = 0.6
"""Chunks whose observations are closer together count as one: a ring has room for so many."""

STOP_S = 0.3
"""How long it takes to come to a stand, at half the speed on average."""

REJOIN_RAD_S, REJOIN_RAD_S2 = 0.5, 8.0
"""The fastest at which a distance from a hold to the next chunk is made good, and the greatest
acceleration to its velocity (arm joints), as far as half the chunk's length allows."""

_STEEPEST = 1.875
"""Of the minimum-jerk step."""

_ARM_COLUMNS = [
    arm * len(JOINTS) + joint for arm in range(len(FOLLOWERS)) for joint in range(len(ARM_JOINTS))
]


class ChunkRefused(ValueError):
    """A chunk that is not taken; the message says what was wrong and what was expected."""


class ChunkBroken(ChunkRefused):
    """Of the wrong shape, or with numbers that are none: whoever made it cannot be followed now."""


class TimeWentBack(ChunkRefused):
    """Now lies before what was now before: the clock was set back or a simulation begun anew."""


@dataclass(frozen=True)
class Target:
    """What to command now.

    `position` (14,): arm joints rad, gripper openings 0..1; None before there was any chunk.
    `age_s`: since the newest chunk's observation (inf: there is none). `chunks`: how many are
    averaged, 0 in a hold. `holding`: why it comes to a stand or stays there; empty while it moves.
    """

    position: np.ndarray | None
    age_s: float
    chunks: int
    holding: str


class ChunkSchedule:
    """See the module. Times are ROS time in ns; not for several threads at once.

    `add` chunks as they arrive, take a `target` every tick. Of several that arrive between two
    ticks the newest counts. `begin` says where the arms are before the first chunk, which then
    fades in from there; without it the first counts at once.
    """

    def __init__(
        self, dt_ns: int, mode: str = "ensemble", m: float = 0.01, blend_s: float = 0.2
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is not known; expected {' or '.join(MODES)}")
        if dt_ns <= 0 or not np.isfinite(m) or not 0 <= blend_s <= 5:
            raise ValueError(
                f"dt_ns {dt_ns}, m {m} and blend_s {blend_s} do not make a schedule; expected "
                "dt_ns > 0, a finite m and blend_s of 0 to 5"
            )
        self.dt_ns, self.mode, self.m = dt_ns, mode, m
        self._blend_ns = max(blend_s * 1e9, float(dt_ns))
        self.clear()

    def clear(self) -> None:
        """Forgets all chunks, the last position, and what time it was."""
        self.holding = "waiting for the first chunk"
        self._ring: ChunkRing | None = None
        self._start: np.ndarray | None = None
        self._position: np.ndarray | None = None
        self._pending: tuple[int, np.ndarray, bool] | None = None
        self._newest_ns: int | None = None
        self._now_ns: int | None = None
        self._joined_ns: int | None = None
        self._rhythm_ns = self.dt_ns
        self._late = False
        self._fade_ns = self._blend_ns if self.mode == "latest" else float(self.dt_ns)

    def begin(self, position: np.ndarray, now_ns: int) -> None:
        """Holds `position` (14,) until the first chunk comes that was made from an observation of
        `now_ns` or later; what was before is forgotten."""
        start = np.array(position, dtype=np.float64)
        if start.shape != (WIDTH,) or not np.isfinite(start).all():
            raise ChunkRefused(f"the start is {start}; expected {WIDTH} finite numbers")
        self.clear()
        self._start = self._position = start
        self._now_ns, self._newest_ns, self._fade_ns = now_ns, now_ns - 1, self._blend_ns

    def add(self, stamp_ns: int, chunk: np.ndarray, now_ns: int, alone: bool = False) -> None:
        """Takes a chunk (n, 14) that arrived at `now_ns`, made from an observation at `stamp_ns`.

        Raises ChunkRefused, and changes nothing: if its shape is wrong or another than that of the
        ones before, or a number is not finite (ChunkBroken); its observation lies in the future or
        is not newer than the last; it is over already; or time went back (TimeWentBack).
        """
        rows = np.asarray(chunk)
        self._check_time(now_ns)
        self._check_rows(rows)
        self._check_stamp(stamp_ns, len(rows), now_ns)
        self._newest_ns = stamp_ns
        self._pending = (stamp_ns, np.array(rows, dtype=np.float64), alone)

    def hold(self, now_ns: int, reason: str) -> None:
        """Comes to a stand from `now_ns` on, along the way that was predicted, until the next chunk
        is added. One that has not counted yet is dropped."""
        self._check_time(now_ns)
        self._pending, self.holding = None, reason
        if self._ring is not None:
            self._ring.brake(now_ns)

    def target(self, now_ns: int) -> Target:
        """What to command at `now_ns`. Raises TimeWentBack."""
        self._check_time(now_ns)
        before_ns = now_ns if self._now_ns is None else self._now_ns
        self._now_ns = now_ns
        joined = self._join(now_ns, before_ns)
        ring = self._ring
        if ring is None:
            return Target(self._position, np.inf, 0, self.holding)
        self._pace(now_ns, now_ns - before_ns, joined)
        left = self.mode == "ensemble" and ring.leave(now_ns + self._fade_ns - self.dt_ns)
        if joined or left:
            self._shares.ask(before_ns, ring.weights(self.m / self.dt_ns))
        if not ring.braked and now_ns > ring.last_call_ns:
            self.holding = (
                f"no chunk is left: the last one, of {ring.rows} rows, was made from an "
                f"observation {(now_ns - ring.newest_ns) * 1e-9:.2f} s ago"
            )
            ring.brake(ring.last_call_ns)
        self._position = ring.mean(now_ns, self._shares.at(now_ns, self._fade_ns))
        age_s = (now_ns - ring.newest_ns) * 1e-9
        return Target(self._position, age_s, 0 if ring.braked else ring.members, self.holding)

    # -- within a tick ----------------------------------------------------------------------

    def _join(self, now_ns: int, before_ns: int) -> bool:
        """Whether a chunk came in since the tick before."""
        if self._pending is None:
            return False
        (stamp_ns, rows, alone), self._pending = self._pending, None
        ring = self._ring
        if ring is None:
            ring = self._open(len(rows), before_ns)
        elif not ring.braked and stamp_ns - ring.newest_ns < SPACING_TICKS * self.dt_ns:
            return False  # so little time after the one before that it says nothing new
        rejoins = ring.braked and self._shares.settled
        if alone and not ring.braked:
            self._rhythm_ns = max(stamp_ns - ring.newest_ns, self.dt_ns)
        ring.push(stamp_ns, rows, alone=alone or self.mode == "latest")
        if rejoins and self._position is not None:
            needed_ns = _rejoining_s(self._position, *ring.newest_motion(now_ns)) * 1e9
            self._fade_ns = max(self._fade_ns, min(needed_ns, ring.lasts_ns / 2))
        self.holding = ""
        return True

    def _open(self, rows: int, before_ns: int) -> ChunkRing:
        """The ring for chunks of `rows`, with the start in it if there is one."""
        ring = ChunkRing(rows, WIDTH, self.dt_ns, round(STOP_S * 1e9))
        self._ring, self._shares = ring, FadingShares(ring.slots, ring.slots)
        self._fade_ns = max(min(self._fade_ns, ring.lasts_ns / 2), self.dt_ns)
        if self._start is not None:
            ring.push(before_ns, np.tile(self._start, (rows, 1)), alone=True)
            ring.brake(before_ns)
            self._shares.ask(before_ns, ring.weights(0.0))
        return ring

    def _pace(self, now_ns: int, passed_ns: int, joined: bool) -> None:
        """The fading time, after the rhythm in which chunks come in."""
        assert self._ring is not None
        if self._joined_ns is not None:
            in_time_ns = self._rhythm_ns + (LATE_TICKS - 1) * self.dt_ns
            overdue = now_ns - self._joined_ns > in_time_ns
            self._late = overdue or (self._late and not joined)
        if joined:
            self._joined_ns = now_ns
        fades = self._late or self.mode == "latest"
        goal_ns = min(self._blend_ns, self._ring.lasts_ns / 2) if fades else self.dt_ns
        shrunk_ns = self._fade_ns - SHRINKING * passed_ns
        self._fade_ns = max(min(goal_ns, self._fade_ns + passed_ns), shrunk_ns, self.dt_ns)

    # -- what is refused --------------------------------------------------------------------

    def _check_time(self, now_ns: int) -> None:
        if self._now_ns is not None and now_ns < self._now_ns:
            raise TimeWentBack(
                f"time went back by {(self._now_ns - now_ns) * 1e-9:.3f} s: the clock was set, or "
                "a simulation begun anew; clear the schedule and begin again"
            )

    def _check_rows(self, rows: np.ndarray) -> None:
        if rows.ndim != 2 or rows.shape[1] != WIDTH or not 2 <= len(rows) <= MAX_ROWS:
            raise ChunkBroken(
                f"the chunk has the shape {rows.shape}; expected (n, {WIDTH}) with n from 2 to "
                f"{MAX_ROWS}"
            )
        if self._ring is not None and len(rows) != self._ring.rows:
            raise ChunkBroken(
                f"the chunk has {len(rows)} rows; the ones before had {self._ring.rows}. Another "
                "policy needs a new rollout"
            )
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise ChunkBroken(
                f"row {int(np.argmin(finite))} of the chunk contains a number that is not finite"
            )

    def _check_stamp(self, stamp_ns: int, rows: int, now_ns: int) -> None:
        if stamp_ns > now_ns + self.dt_ns:
            raise ChunkRefused(
                f"the chunk's observation lies {(stamp_ns - now_ns) * 1e-9:.3f} s in the future; "
                "check the clocks of cameras, arms and policy"
            )
        if self._newest_ns is not None and stamp_ns <= self._newest_ns:
            raise ChunkRefused(
                f"the chunk's observation is {(self._newest_ns - stamp_ns) * 1e-9:.3f} s older "
                "than what is known; chunks count in the order of their observations"
            )
        lasts_ns = (rows - 1) * self.dt_ns
        if stamp_ns + lasts_ns <= now_ns:
            raise ChunkRefused(
                f"the chunk was over when it arrived: {(now_ns - stamp_ns) * 1e-9:.2f} s after its "
                f"observation, and it covers {lasts_ns * 1e-9:.2f} s; the policy is too slow for it"
            )


def _rejoining_s(held: np.ndarray, position: np.ndarray, velocity: np.ndarray) -> float:
    """How long it should take from `held` at rest to a course that is at `position` with `velocity`
    (14,) per s. In S(t/T) (away + velocity t) the one asks for a velocity of 1.875 away / T, the
    other for an acceleration of 2 * 1.875 velocity / T."""
    away = np.abs(position - held)[_ARM_COLUMNS].max() / REJOIN_RAD_S
    faster = 2 * np.abs(velocity)[_ARM_COLUMNS].max() / REJOIN_RAD_S2
    return _STEEPEST * float(max(away, faster))
