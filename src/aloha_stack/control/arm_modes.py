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
    up, so that no command counts; parking may take its time.
    """

    sick: str = ""
    slow: str = ""


class EStop:
    """The latch of one arm: its cause is kept until the safety node's e-stop is reset."""

    def __init__(self) -> None:
        self.cause = ""
        self.own = False
        """Whether it was, or was too, the arm's own: not only the safety node's."""
        self._seen_remote = False

    def trip(self, cause: str) -> None:
        """The first cause is kept."""
        self.cause = self.cause or cause or "e-stop"

    def hear(self, e_stopped: bool, cause: str) -> None:
        """The safety node's state.

        Only a reset that was seen to happen ends the stop: a safety node that has not yet heard of
        this arm's own stop does not end it.
        """
        if e_stopped:
            self._seen_remote = True
            self.trip(cause)
        elif self._seen_remote:
            self._seen_remote, self.own, self.cause = False, False, ""

    def lose_remote(self) -> None:
        """The safety node was gone: what it says next may be another node's, which knows nothing.

        Its word ends no stop until it has itself been seen stopped and then reset.
        """
        self._seen_remote = False

    def __bool__(self) -> bool:
        return bool(self.cause)
