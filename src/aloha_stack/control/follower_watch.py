"""What keeps followers from being commanded."""

from collections.abc import Mapping

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.e_stop import GONE_S
from aloha_stack.control.teleop import READY, STRAYED_S, ArmView
from aloha_stack.robot.arm import Arm

MAX_STATE_AGE_S = 0.1


class FollowerWatch:
    """Looks at the followers tick by tick; answers are words, empty while all is well."""

    def __init__(self, followers: tuple[Arm, ...]) -> None:
        self._names = [arm.name for arm in followers]
        self._holding_s: float | None = None

    def trouble(self, views: Mapping[str, ArmView]) -> str:
        """The bridge that takes no commands."""
        for name in self._names:
            view = views[name]
            if view.mode is None:
                return f"waiting for the bridge of {name}"
            if view.mode not in READY:
                return f"{name} is {view.mode.name.lower()}"
            if view.status_age_s > GONE_S:
                return f"the bridge of {name} is gone: no status for {GONE_S:g} s"
        return ""

    def stale(self, views: Mapping[str, ArmView]) -> str:
        """The followers whose joint states are missing or old."""
        missing = [name for name in self._names if views[name].age_s > MAX_STATE_AGE_S]
        return f"no joint states from {' and '.join(missing)}" if missing else ""

    def holding(self, now_s: float, views: Mapping[str, ArmView]) -> str:
        """The followers whose bridges have held for STRAYED_S although they are commanded."""
        holding = [name for name in self._names if views[name].mode == Mode.HOLDING]
        if not holding:
            self._holding_s = None
            return ""
        since_s = now_s if self._holding_s is None else min(self._holding_s, now_s)
        self._holding_s = since_s
        held = f"{' and '.join(holding)} held instead of following: see the status of the arm"
        return held if now_s - since_s > STRAYED_S else ""
