"""Teleoperation of both pairs of arms: mapping, matching, engagement, tick by tick."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.e_stop import GONE_S
from aloha_stack.control.ramps import Ramp, ramp, smooth
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import ARM_JOINTS

READY = frozenset({Mode.HOLDING, Mode.RAMPING, Mode.FOLLOWING})
"""The modes of a follower's bridge in which commands are heard."""

OPEN_MARGIN_RAD = 0.05
"""How far above the engage threshold a handle counts as open."""


STRAYED_S = 0.5
"""For how long (ROS time) a follower may hold where it is while its target is somewhere else."""
DROPOUT_S = 1.0
"""Leaders that are missing for longer (ROS time) do not go on by themselves when they are back."""


class TeleopStage(IntEnum):
    """As in aloha_interfaces/TeleopState (a test compares)."""

    WAITING = 0
    RAMPING = 1
    MATCHING = 2
    ENGAGED = 3
    STOPPED = 4


@dataclass(frozen=True)
class TeleopSettings:
    """`tolerance_rad` is per arm joint; the gesture has to be held for `gesture_s`."""

    tolerance_rad: float = 0.2
    max_state_age_s: float = 0.1
    ramp_speed_rad_s: float = 0.8
    blend_s: float = 1.0
    gesture_s: float = 0.1


@dataclass(frozen=True)
class ArmView:
    """What is known of an arm at a tick: position (7,) rad or None, its age in s, its bridge's mode
    (None: never heard) and for how long the bridge has said nothing (steady s)."""

    position: np.ndarray | None = None
    age_s: float = float("inf")
    mode: Mode | None = None
    status_age_s: float = 0.0


@dataclass(frozen=True)
class Pair:
    """A leader and the follower that follows it."""

    leader: Arm
    follower: Arm

    def target(self, leader_position: np.ndarray) -> np.ndarray:
        """Follower target (7,) rad: arm joints one to one, the gripper by its opening."""
        target = np.array(leader_position, dtype=float)
        opening = self.leader.gripper.normalise_joint(float(leader_position[-1]))
        target[-1] = self.follower.gripper.unnormalise_joint(opening)
        return target

    def strayed(self, target: np.ndarray, follower: ArmView, tolerance_rad: float) -> bool:
        """Whether the follower holds while its target is farther away than the tolerance: it does
        not follow, and would set off by itself when it does again. Without the gripper, which
        closes on things."""
        if follower.mode != Mode.HOLDING or follower.position is None:
            return False
        off = np.abs(target - follower.position)[: len(ARM_JOINTS)]
        return float(off.max()) > tolerance_rad

    def mismatch(self, target: np.ndarray, held: np.ndarray, tolerance_rad: float) -> str:
        """Which of the six arm joints are farther apart than the tolerance, in words; or empty."""
        off = (target - held)[: len(ARM_JOINTS)]
        worst = [
            f"{joint} {angle:+.2f}"
            for joint, angle in zip(ARM_JOINTS, off.tolist(), strict=True)
            if abs(angle) > tolerance_rad
        ]
        return f"{self.leader.name} is off by {', '.join(worst)} rad" if worst else ""

    def gripper_closed(self, leader_position: np.ndarray) -> bool:
        """The engage gesture: the handle squeezed below its threshold."""
        threshold = self.leader.gripper.engage_below_rad
        return threshold is not None and float(leader_position[-1]) < threshold

    def gripper_open(self, leader_position: np.ndarray) -> bool:
        """The handle released clearly: what has to come before the gesture."""
        threshold = self.leader.gripper.engage_below_rad
        return threshold is None or float(leader_position[-1]) > threshold + OPEN_MARGIN_RAD


class Teleoperation:
    """The state of the teleoperation of all pairs. One tick() per period; ROS time in s.

    WAITING for joint states and bridges; RAMPING the followers to their start pose (once); MATCHING
    until every leader is where its follower is and all handles have been open and are squeezed;
    ENGAGED. What differs at engagement fades within `blend_s`, so that nothing jumps. STOPPED while
    a leader's joint states are missing: if they come back within DROPOUT_S and still match, it goes
    on, else it has to be matched again. An e-stop, a bridge that fails, leaves or falls silent, a
    follower that holds for trouble of its own while its leader moves away, or disengage() end the
    engagement; a handle that is closed then engages nothing before it was opened.
    """

    def __init__(self, pairs: tuple[Pair, ...], settings: TeleopSettings | None = None) -> None:
        self.pairs, self.settings = pairs, settings or TeleopSettings()
        self.stage, self.reason = TeleopStage.WAITING, "starting"
        self._held: dict[str, np.ndarray] = {}
        self._ramps: dict[str, Ramp] = {}
        self._offsets: dict[str, np.ndarray] = {}
        self._strayed_since_s: float | None = None
        self._disengaged = ""
        """That followers strayed, in words, until it is engaged anew."""
        self._since_s = 0.0
        self._gesture_since_s: float | None = None
        self._opened: set[str] = set()
        self._at_start = False

    def disengage(self) -> None:
        """Followers stay where they are until the next match."""
        if self.stage in (TeleopStage.ENGAGED, TeleopStage.STOPPED):
            self._enter(TeleopStage.MATCHING, "disengaged", 0.0)
        self._opened.clear()

    def tick(
        self, now_s: float, views: Mapping[str, ArmView], e_stop: str = ""
    ) -> dict[str, np.ndarray]:
        """The targets (7,) rad by follower name; empty when nothing is to be sent.

        `views` has an entry per arm; `e_stop` is the cause of an e-stop that is latched.
        """
        obstacle = f"e-stop: {e_stop}" if e_stop else self._bridge_trouble(views)
        if not obstacle and (strayed := self._straying(now_s, views)):
            obstacle = self._disengaged = strayed
        if obstacle:
            self._held.clear()
            self._enter(TeleopStage.WAITING, obstacle, now_s)
            return {}
        silent = self._silent(views)
        if silent and self.stage in (TeleopStage.ENGAGED, TeleopStage.STOPPED):
            self._enter(TeleopStage.STOPPED, silent, now_s)
            return {}
        if silent and self.stage == TeleopStage.WAITING:
            self.reason = silent
            return {}
        if self.stage == TeleopStage.WAITING:
            self._begin(now_s, views)
        elif self.stage == TeleopStage.STOPPED:
            self._resume(now_s, views)
        if self.stage == TeleopStage.RAMPING:
            return self._ramped(now_s)
        if self.stage == TeleopStage.MATCHING:
            self._match(now_s, views, silent)
        if self.stage == TeleopStage.ENGAGED:
            self._follow(now_s, views)
        return dict(self._held)

    # -- stages -----------------------------------------------------------------------------

    def _begin(self, now_s: float, views: Mapping[str, ArmView]) -> None:
        """From where the followers are: to the start pose the first time, else to matching."""
        for pair in self.pairs:
            position = views[pair.follower.name].position
            assert position is not None
            self._held[pair.follower.name] = np.array(position)
        if self._at_start:
            self._enter(TeleopStage.MATCHING, "", now_s)
            return
        self._ramps = {
            pair.follower.name: ramp(
                self._held[pair.follower.name],
                pair.follower.start_pose,
                self.settings.ramp_speed_rad_s,
                pair.follower.limits,
            )
            for pair in self.pairs
        }
        self._enter(TeleopStage.RAMPING, "followers go to the start pose", now_s)

    def _ramped(self, now_s: float) -> dict[str, np.ndarray]:
        since = now_s - self._since_s
        for name, course in self._ramps.items():
            self._held[name] = course.at(since)[0]
        if all(since >= course.duration_s for course in self._ramps.values()):
            self._at_start = True
            self._enter(TeleopStage.MATCHING, "", now_s)
        return dict(self._held)

    def _match(self, now_s: float, views: Mapping[str, ArmView], silent: str) -> None:
        if not silent:
            self._opened |= {
                pair.leader.name
                for pair in self.pairs
                if pair.gripper_open(_position(views, pair.leader))
            }
        if obstacle := silent or self._mismatch(views) or self._missing_gesture(views):
            self.reason, self._gesture_since_s = obstacle, None
            if self._disengaged:
                self.reason += f" ({self._disengaged})"
            return
        if self._gesture_since_s is None:
            self._gesture_since_s = now_s
        if now_s - self._gesture_since_s >= self.settings.gesture_s:
            self._engage(now_s, views)

    def _engage(self, now_s: float, views: Mapping[str, ArmView]) -> None:
        for pair in self.pairs:
            name = pair.follower.name
            self._offsets[name] = self._held[name] - pair.target(_position(views, pair.leader))
        self._disengaged = ""
        self._enter(TeleopStage.ENGAGED, "", now_s)

    def _follow(self, now_s: float, views: Mapping[str, ArmView]) -> None:
        left = 1 - smooth((now_s - self._since_s) / self.settings.blend_s)
        for pair in self.pairs:
            name = pair.follower.name
            target = pair.target(_position(views, pair.leader))
            self._held[name] = target + left * self._offsets[name]

    def _resume(self, now_s: float, views: Mapping[str, ArmView]) -> None:
        mismatch = self._mismatch(views)
        if mismatch or now_s - self._since_s > DROPOUT_S:
            self._enter(TeleopStage.MATCHING, mismatch, now_s)
        else:
            self._engage(now_s, views)

    # -- findings ---------------------------------------------------------------------------

    def _missing_gesture(self, views: Mapping[str, ArmView]) -> str:
        """The handles that were never open since matching began, or are not squeezed; or empty."""
        hands = {
            pair.leader.name: pair.gripper_closed(_position(views, pair.leader))
            for pair in self.pairs
        }
        stuck = [name for name, closed in hands.items() if closed and name not in self._opened]
        if stuck:
            return f"matched: open the gripper of {' and '.join(stuck)}, then squeeze it to engage"
        waiting = [name for name, closed in hands.items() if not closed]
        if waiting:
            return f"matched: squeeze the gripper of {' and '.join(waiting)} to engage"
        return ""

    def _bridge_trouble(self, views: Mapping[str, ArmView]) -> str:
        for pair in self.pairs:
            mode = views[pair.follower.name].mode
            if mode is None:
                return f"waiting for the bridge of {pair.follower.name}"
            if mode not in READY:
                return f"{pair.follower.name} is {mode.name.lower()}"
            leading = views[pair.leader.name].mode
            if leading not in (None, Mode.BACK_DRIVEN) and self.stage != TeleopStage.WAITING:
                return f"{pair.leader.name} is {leading.name.lower()}"
        for arm in (arm for pair in self.pairs for arm in (pair.follower, pair.leader)):
            if views[arm.name].mode is not None and views[arm.name].status_age_s > GONE_S:
                return f"the bridge of {arm.name} is gone: no status for {GONE_S:g} s"
        if self.stage != TeleopStage.WAITING:
            return ""
        for pair in self.pairs:
            if views[pair.leader.name].mode != Mode.BACK_DRIVEN:
                return f"waiting for the bridge of {pair.leader.name}"
            if views[pair.follower.name].age_s > self.settings.max_state_age_s:
                return f"waiting for the joint states of {pair.follower.name}"
        return ""

    def _straying(self, now_s: float, views: Mapping[str, ArmView]) -> str:
        """The followers that have held for too long where they should have followed; or empty."""
        if self.stage not in (TeleopStage.ENGAGED, TeleopStage.STOPPED):
            return ""
        strayed = [
            pair.follower.name
            for pair in self.pairs
            if pair.strayed(
                self._held[pair.follower.name],
                views[pair.follower.name],
                self.settings.tolerance_rad,
            )
        ]
        if not strayed:
            self._strayed_since_s = None
            return ""
        since_s = now_s if self._strayed_since_s is None else min(self._strayed_since_s, now_s)
        self._strayed_since_s = since_s
        if now_s - since_s <= STRAYED_S:
            return ""
        return f"disengaged: {' and '.join(strayed)} held while its leader moved away"

    def _silent(self, views: Mapping[str, ArmView]) -> str:
        limit = self.settings.max_state_age_s
        missing = [p.leader.name for p in self.pairs if views[p.leader.name].age_s > limit]
        return f"no joint states from {' and '.join(missing)}" if missing else ""

    def _mismatch(self, views: Mapping[str, ArmView]) -> str:
        found = [
            pair.mismatch(
                pair.target(_position(views, pair.leader)),
                self._held[pair.follower.name],
                self.settings.tolerance_rad,
            )
            for pair in self.pairs
        ]
        return "; ".join(filter(None, found))

    def _enter(self, stage: TeleopStage, reason: str, now_s: float) -> None:
        if stage != self.stage:
            self.stage, self._since_s = stage, now_s
            self._gesture_since_s = self._strayed_since_s = None
            self._opened.clear()
        self.reason = reason


def _position(views: Mapping[str, ArmView], arm: Arm) -> np.ndarray:
    position = views[arm.name].position
    assert position is not None, f"{arm.name} has an age but no position"
    return position
