"""A rollout tick by tick: who commands the followers, and where they go."""

from collections.abc import Mapping
from enum import IntEnum

import numpy as np

from aloha_stack.control.chunks import (
    ChunkBroken,
    ChunkRefused,
    ChunkSchedule,
    Target,
    TimeWentBack,
)
from aloha_stack.control.follower_watch import FollowerWatch
from aloha_stack.control.ramps import Ramp, ramp
from aloha_stack.control.takeover import STOP_S, Takeover
from aloha_stack.control.teleop import ArmView
from aloha_stack.robot.arm import Arm
from aloha_stack.robot.joints import JOINTS

RAMP_RAD_S = 0.8
START_S = 10.0
"""After so long, the robot's time, a rollout that cannot begin is over: nobody expects it any more
to set arms in motion."""
TAKEN = "a human takes over"
WAITING = "waiting for the first chunk"


class Stage(IntEnum):
    """As in aloha_interfaces/PlayerState (a test compares)."""

    IDLE = 0
    STARTING = 1
    RAMPING = 2
    PLAYING = 3
    HOLDING = 4
    MATCHING = 5
    HUMAN = 6


class Commander(IntEnum):
    """As in aloha_interfaces/PlayerState (a test compares)."""

    NOBODY = 0
    POLICY = 1
    OPERATOR = 2


class RolloutPlayer:
    """The followers' commander from `start` to `stop`. Not for several threads at once.

    start() waits START_S for the bridges and brings the followers to their start pose, or keeps
    them where they are; `ready` says that it is done. play() lets the policy's chunks count. An
    e-stop, at any time, a bridge that fails, leaves or falls silent, or time that goes back end the
    rollout: `ended` says why. Whatever else is missing is a hold, along the way that was predicted,
    which ends by itself.
    A human may take over at any time while it plays or holds.
    """

    def __init__(
        self, followers: tuple[Arm, ...], schedule: ChunkSchedule, takeover: Takeover
    ) -> None:
        self.followers, self.schedule, self.takeover = followers, schedule, takeover
        self._watch = FollowerWatch(followers)
        self.stage, self.reason, self.ended = Stage.IDLE, "", ""
        self.ready = False
        self._now_ns = self._began_ns = 0
        self._reset()

    def _reset(self) -> None:
        self.ticks = self.holds = self.refused = self.takeovers = 0
        self.target: Target | None = None
        self._held: dict[str, np.ndarray] = {}
        self._ramps: dict[str, Ramp] = {}
        self._since_s = 0.0
        self._asked_ns: int | None = None  # when it was first seen that it is to begin
        self._to_start = True
        self._asked = False
        self._then: Stage | None = None
        """Where it goes once the followers that a human has let go are at rest."""

    @property
    def commander(self) -> Commander:
        """Who decides where the followers go; nobody while they come to rest after a human."""
        if self.stage == Stage.HUMAN:
            return Commander.OPERATOR if self._then is None else Commander.NOBODY
        return Commander.POLICY if self.stage == Stage.PLAYING else Commander.NOBODY

    @property
    def playing(self) -> bool:
        """Whether the policy, or a human in its place, commands: between play() and the end."""
        return self.stage in (Stage.PLAYING, Stage.HOLDING, Stage.MATCHING, Stage.HUMAN)

    # -- asked for --------------------------------------------------------------------------

    def start(self, to_start: bool = True) -> None:
        """A rollout begins, with a ramp to the start pose or from where the followers are."""
        self._reset()
        self._to_start, self.ready, self.ended = to_start, False, ""
        self.schedule.clear()
        self.stage, self.reason = Stage.STARTING, "starting"

    def play(self, now_ns: int) -> None:
        """Chunks made from observations of now or later count. Only when `ready`."""
        self.schedule.begin(self._joined(), now_ns)
        self._began_ns = now_ns
        self.takeover.reset()
        self.ready = False
        self.stage, self.reason = Stage.HOLDING, WAITING

    def stop(self, why: str = "") -> None:
        """The rollout is over; nothing is sent any more, and the bridges hold."""
        self.ended = why
        self.ready = False
        self.stage, self.reason = Stage.IDLE, why
        self.schedule.clear()

    def forget(self) -> None:
        """What the rollout before did, and why it ended, is nothing of the next one's."""
        self.stop()
        self._reset()

    def take_over(self) -> str:
        """A human asks for the followers, without a gesture. Why that is not possible; or empty."""
        if self.stage not in (Stage.PLAYING, Stage.HOLDING):
            return f"the player is {self.stage.name.lower()}; a policy has to command"
        self._asked = True
        return ""

    def hand_back(self) -> str:
        """The human gives the followers back. Why that is not possible; or empty."""
        if self.stage == Stage.MATCHING:
            self._to_policy()
        elif self.stage == Stage.HUMAN:
            self._leave(Stage.HOLDING)
        else:
            return f"the player is {self.stage.name.lower()}; no human commands"
        return ""

    def add(self, stamp_ns: int, chunk: np.ndarray, now_ns: int, alone: bool = False) -> str:
        """A chunk (n, 14) rad arrived, `alone` as for the schedule. Why it is refused; empty if it
        is not, or if nobody asked for it: none is asked for before play()."""
        if self.stage not in (Stage.PLAYING, Stage.HOLDING) or stamp_ns < self._began_ns:
            return ""
        try:
            self.schedule.add(stamp_ns, chunk, now_ns, alone)
        except ChunkBroken as broken:
            self.refuse(now_ns, str(broken))
            return str(broken)
        except ChunkRefused as refusal:
            self.refused += 1
            return str(refusal)
        return ""

    def refuse(self, now_ns: int, why: str) -> None:
        """A chunk that is none came: the followers hold until the next good one."""
        if self.stage in (Stage.PLAYING, Stage.HOLDING):
            self.refused += 1
            self.schedule.hold(max(now_ns, self._now_ns), why)

    # -- ticks ------------------------------------------------------------------------------

    def tick(
        self, now_ns: int, views: Mapping[str, ArmView], e_stop: str = "", policy: str = ""
    ) -> dict[str, np.ndarray]:
        """The targets (7,) rad by follower name; empty when nothing is to be sent.

        `views` has an entry per arm; `e_stop` is the cause of one that is latched, `policy` why its
        chunks must not be followed now.
        """
        self._now_ns = now_ns
        if self.stage == Stage.IDLE:
            if self.reason and not (e_stop or self._watch.trouble(views)):
                self.reason = ""  # why the last one ended is no news once that is mended
            return {}
        if e_stop:
            self.stop(f"e-stop: {e_stop}")
            return {}
        starting = self.stage == Stage.STARTING and not self.ready
        obstacle, stale = self._watch.trouble(views), self._watch.stale(views)
        if starting and (obstacle or stale):
            self._wait(now_ns, obstacle or stale)
            return {}
        if obstacle:
            self.stop(obstacle)
            return {}
        now_s = now_ns * 1e-9
        if starting:
            self._begin(now_s, views)
        if self.stage == Stage.RAMPING:
            self._ramp(now_s)
        elif self.playing:
            try:
                holding = self._watch.holding(now_s, views)
                self._play(now_ns, views, stale or holding, policy)
            except TimeWentBack as back:
                self.stop(str(back))
                return {}
        return dict(self._held)

    def _wait(self, now_ns: int, obstacle: str) -> None:
        self.reason = obstacle
        if self._asked_ns is None or now_ns < self._asked_ns:
            self._asked_ns = now_ns
        if now_ns - self._asked_ns > START_S * 1e9:
            self.stop(f"waited {START_S:g} s: {obstacle}")

    def _begin(self, now_s: float, views: Mapping[str, ArmView]) -> None:
        for arm in self.followers:
            position = views[arm.name].position
            assert position is not None, f"{arm.name} has an age but no position"
            self._held[arm.name] = np.array(position, dtype=float)
        if not self._to_start:
            self.ready, self.reason = True, "ready"
            return
        self._ramps = {
            arm.name: ramp(self._held[arm.name], arm.start_pose, RAMP_RAD_S, arm.limits)
            for arm in self.followers
        }
        self._since_s = now_s
        self.stage, self.reason = Stage.RAMPING, "followers go to the start pose"

    def _ramp(self, now_s: float) -> None:
        since_s = now_s - self._since_s
        for name, course in self._ramps.items():
            self._held[name] = course.at(since_s)[0]
        if all(since_s >= course.duration_s for course in self._ramps.values()):
            self.ready = True
            self.stage, self.reason = Stage.STARTING, "ready"

    def _play(self, now_ns: int, views: Mapping[str, ArmView], missing: str, policy: str) -> None:
        self.ticks += 1
        now_s = now_ns * 1e-9
        if self.stage == Stage.HUMAN:
            self._follow(now_s, views, missing)
            return
        if self.stage != Stage.MATCHING and (self.takeover.wanted(now_s, views) or self._asked):
            self._asked = False
            self._match_from(now_s)
        elif self.stage != Stage.MATCHING and (missing or policy):
            self.schedule.hold(now_ns, missing or policy)
        self._split(self.schedule.target(now_ns))
        if self.stage == Stage.MATCHING:
            self._match(now_s, views, missing)
            return
        assert self.target is not None
        self.reason, before = self.target.holding, self.stage
        self.stage = Stage.HOLDING if self.reason else Stage.PLAYING
        self.holds += self.stage == Stage.HOLDING and before == Stage.PLAYING

    def _match_from(self, now_s: float) -> None:
        """The followers come to rest, and a human may match them."""
        self.schedule.hold(self._now_ns, TAKEN)
        self._since_s = now_s
        self.stage = Stage.MATCHING

    def _match(self, now_s: float, views: Mapping[str, ArmView], missing: str) -> None:
        obstacle = missing or self.takeover.obstacle(views, self._held)
        self.reason = f"{TAKEN}: {obstacle}" if obstacle else TAKEN
        if self.takeover.released(now_s, views):
            self._to_policy()
        elif not obstacle and now_s - self._since_s >= STOP_S:
            self.takeover.engage(now_s, views, self._held)
            self.takeovers += 1
            self.stage, self.reason = Stage.HUMAN, ""

    def _follow(self, now_s: float, views: Mapping[str, ArmView], missing: str) -> None:
        obstacle = missing or self.takeover.silent(views)
        if self._then is None and obstacle:
            self.reason = obstacle
            self._leave(Stage.MATCHING)
        elif self._then is None and self.takeover.released(now_s, views):
            self._leave(Stage.HOLDING)
        if self._then is None:
            self._held = self.takeover.targets(now_s, views)
            return
        self._held, rests = self.takeover.leaving(now_s)
        if rests:
            self.schedule.begin(self._joined(), self._now_ns)
            self._to_policy() if self._then == Stage.HOLDING else self._match_from(now_s)
            self._then = None

    def _leave(self, then: Stage) -> None:
        if self._then is None:
            self.takeover.leave()
        self._then = then

    def _to_policy(self) -> None:
        """Chunks count again; the followers hold until there is one."""
        self.schedule.hold(self._now_ns, WAITING)
        self.takeover.reset()
        self.stage, self.reason = Stage.HOLDING, WAITING

    # -- helpers ----------------------------------------------------------------------------

    def _joined(self) -> np.ndarray:
        """The followers' held positions, (14,) rad."""
        return np.concatenate([self._held[arm.name] for arm in self.followers])

    def _split(self, target: Target) -> None:
        self.target = target
        if target.position is None:
            return
        for index, arm in enumerate(self.followers):
            columns = slice(index * len(JOINTS), (index + 1) * len(JOINTS))
            self._held[arm.name] = target.position[columns]
