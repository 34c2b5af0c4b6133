"""The modes of an arm, and the settings and findings that decide between them."""

from dataclasses import dataclass
from enum import IntEnum


class Mode(IntEnum):
    """As in aloha_interfaces/ArmStatus (a test compares)."""

    INACTIVE = 0
    RAMPING = 1
    FOLLOWING = 2
    HOLDING = 3
    E_STOPPED = 4
    PARKING = 5
    FAULT = 6
    BACK_DRIVEN = 7


@dataclass(frozen=True)
class Settings:
    """Times in s; `heartbeat_timeout_s` counts steady time, everything else ROS time."""

    period_s: float = 0.01
    max_command_age_s: float = 0.1
    heartbeat_timeout_s: float = 0.5
    max_read_age_s: float = 0.1
    park_speed_rad_s: float = 1.0
    park_limit_s: float = 6.5


@dataclass(frozen=True)
class Health:
    """What keeps an arm from moving, in words; empty where nothing does.

    `sick`: servos or port are not as they should be, nothing may move. `slow`: the bus cannot keep
    up, so that no command counts; parking may take its time. `remark`: keeps nothing from moving,
    but who waits for the arm should know.
    """

    sick: str = ""
    slow: str = ""
    remark: str = ""


class EStop:
    """The latch of one arm: its own stop, and the safety node's. The first cause is shown.

    Both are kept until the safety node's e-stop is seen to be reset. A reset ends the arm's own
    stop only if the safety node was seen stopped after that began: else it was asked for before,
    or without knowing of it.
    """

    def __init__(self) -> None:
        self._causes: dict[str, str] = {}
        self._seen_remote = self._own_seen = False

    @property
    def cause(self) -> str:
        """Empty if nothing is latched."""
        return next(iter(self._causes.values()), "")

    @property
    def own(self) -> bool:
        """Whether it is, or is too, the arm's own: not only the safety node's."""
        return "own" in self._causes

    def trip(self, cause: str) -> None:
        """The arm's own stop. The first cause is kept."""
        self._causes.setdefault("own", cause or "e-stop")
        self._own_seen = False

    def hear(self, e_stopped: bool, cause: str) -> None:
        """The safety node's state."""
        if e_stopped:
            self._causes.setdefault("safety", cause or "e-stop")
            self._seen_remote = self._own_seen = True
        elif self._seen_remote:
            self._seen_remote = False
            del self._causes["safety"]
            if self._own_seen:
                self._causes.pop("own", None)

    def lose_remote(self) -> None:
        """The safety node was gone: what it says next may be another node's, which knows nothing.

        Its word ends no stop until it has itself been seen stopped and then reset.
        """
        self._seen_remote = self._own_seen = False

    def __bool__(self) -> bool:
        return bool(self._causes)
