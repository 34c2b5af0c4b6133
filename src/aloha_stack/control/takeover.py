"""A human takes the followers over from a policy with the leaders, and hands them back."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.gestures import HeldClosed, HoldSettings
from aloha_stack.control.ramps import smooth
from aloha_stack.control.teleop import ArmView, Pair

STOP_S = 0.3
"""How long followers take to stop when they are let go."""


@dataclass(frozen=True)
class TakeoverSettings:
    """`tolerance_rad` is per arm joint. Both handles are held closed for `gesture_s` to take over,
    and let go (opening >= `let_go`) for `release_s` to hand back; 0: only the service does."""

    tolerance_rad: float = 0.2
    max_state_age_s: float = 0.1
    blend_s: float = 1.0
    gesture_s: float = 0.1
    release_s: float = 1.0
    let_go: float = 0.9


class Takeover:
    """What the leaders ask for, and where the followers go meanwhile. ROS time in s.

    The caller looks for `wanted` while a policy commands, brings the followers to rest, asks
    `obstacle` until nothing is in the way, `engage`s, sends `targets` while there are any, and asks
    `released` all the while. Followers are at rest at engagement and what differs fades within
    `blend_s`, as in teleoperation: nothing jumps.
    """

    def __init__(self, pairs: tuple[Pair, ...], settings: TakeoverSettings | None = None) -> None:
        self.pairs, self.settings = pairs, settings or TakeoverSettings()
        self._handles = [pair.leader.name for pair in pairs]
        self._offsets: dict[str, np.ndarray] = {}
        self._held: dict[str, np.ndarray] = {}
        self._speed: dict[str, np.ndarray] = {}
        self._since_s = self._last_s = 0.0
        self.reset()

    def reset(self) -> None:
        """From here handles have to be opened before they are closed to take over."""
        self._gesture = HeldClosed(self._handles, HoldSettings(hold_s=self.settings.gesture_s))
        self._gripped = False
        self._let_go_s: float | None = None

    def wanted(self, now_s: float, views: Mapping[str, ArmView]) -> bool:
        """Whether all handles have just been closed, after they were open."""
        return self._gesture.look(now_s, self._openings(views)) is not None

    def released(self, now_s: float, views: Mapping[str, ArmView]) -> bool:
        """Whether all handles have been let go for long enough, after one was not."""
        openings = self._openings(views).values()
        free = all(o is not None and o >= self.settings.let_go for o in openings)
        self._gripped |= any(o is not None and o < self.settings.let_go for o in openings)
        if not free or not self._gripped or self.settings.release_s <= 0:
            self._let_go_s = None
            return False
        if self._let_go_s is None:
            self._let_go_s = now_s
        return now_s - self._let_go_s >= self.settings.release_s

    def obstacle(self, views: Mapping[str, ArmView], held: Mapping[str, np.ndarray]) -> str:
        """Why the leaders cannot lead from where the followers are held, (7,) rad; or empty."""
        silent = self.silent(views)
        if silent:
            return silent
        found = []
        for pair in self.pairs:
            target = pair.target(_position(views, pair))
            name = pair.follower.name
            found.append(pair.mismatch(target, held[name], self.settings.tolerance_rad))
        return "; ".join(filter(None, found))

    def silent(self, views: Mapping[str, ArmView]) -> str:
        """The leaders that say nothing, or are not moved by hand; or empty."""
        for pair in self.pairs:
            view = views[pair.leader.name]
            if view.age_s > self.settings.max_state_age_s:
                return f"no joint states from {pair.leader.name}"
            if view.mode != Mode.BACK_DRIVEN:
                mode = "silent" if view.mode is None else view.mode.name.lower()
                return f"{pair.leader.name} is {mode}"
        return ""

    def engage(
        self, now_s: float, views: Mapping[str, ArmView], held: Mapping[str, np.ndarray]
    ) -> None:
        """The leaders lead from now on; `held` (7,) rad is where the followers are at rest."""
        self._since_s = self._last_s = now_s
        for pair in self.pairs:
            name = pair.follower.name
            self._offsets[name] = held[name] - pair.target(_position(views, pair))
            self._held[name], self._speed[name] = held[name], np.zeros_like(held[name])
        self._let_go_s, self._gripped = None, False

    def targets(self, now_s: float, views: Mapping[str, ArmView]) -> dict[str, np.ndarray]:
        """Where the followers go, (7,) rad each."""
        left = 1 - smooth((now_s - self._since_s) / self.settings.blend_s)
        passed_s, self._last_s = now_s - self._last_s, now_s
        for pair in self.pairs:
            name = pair.follower.name
            target = pair.target(_position(views, pair)) + left * self._offsets[name]
            if passed_s > 0:
                self._speed[name] = (target - self._held[name]) / passed_s
            self._held[name] = target
        return dict(self._held)

    def leave(self) -> None:
        """The followers come to rest within STOP_S of the last targets (see `leaving`)."""
        self._since_s = self._last_s
        self.reset()

    def leaving(self, now_s: float) -> tuple[dict[str, np.ndarray], bool]:
        """Where the followers go after leave(), and whether they are at rest."""
        u = min(max((now_s - self._since_s) / STOP_S, 0.0), 1.0)
        way_s = STOP_S * (u - u**4 * (2.5 - u * (3 - u)))  # the integral of 1 - smooth
        places = {name: held + way_s * self._speed[name] for name, held in self._held.items()}
        return places, u >= 1.0

    def _openings(self, views: Mapping[str, ArmView]) -> dict[str, float | None]:
        """Of the handles, 0 closed to 1 open; None where nothing is known."""
        found: dict[str, float | None] = {}
        for pair in self.pairs:
            view = views[pair.leader.name]
            known = view.position is not None and view.age_s <= self.settings.max_state_age_s
            angle = float(view.position[-1]) if known and view.position is not None else None
            found[pair.leader.name] = (
                None if angle is None else float(pair.leader.gripper.normalise_joint(angle))
            )
        return found


def _position(views: Mapping[str, ArmView], pair: Pair) -> np.ndarray:
    position = views[pair.leader.name].position
    assert position is not None, f"{pair.leader.name} has an age but no position"
    return position
