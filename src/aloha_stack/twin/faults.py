"""What may befall an arm of the twin: the faults of metal buses and servos, by name.

How each is carried out stands in disturbances.py (servos and answers), wire.py (a slow line) and
virtual_port.py (the plug). Times are in the clock that VirtualPort.service() is given.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

ONE, ANY, ALL = "one servo", "one servo, or 0 for all", "the whole line"


class _Kind(NamedTuple):
    words: str
    servo: str
    lasts: bool
    strength: float
    """The default; 0: the kind has no strength."""
    at_most: float = math.inf


_KINDS: Mapping[str, _Kind] = {
    "lost_reply": _Kind(
        "the next answers of a servo do not arrive (strength: how many); it obeys", ANY, False, 1
    ),
    "crc_noise": _Kind(
        "bytes of the answers are flipped (strength: how likely each is)", ANY, True, 0.01, 1
    ),
    "truncated": _Kind(
        "answers break off half-way (strength: how likely each does)", ANY, True, 1, 1
    ),
    "concatenated": _Kind(
        "old or foreign packets stick to the front of answers, and answers come late, with the "
        "next (strength: how likely each does)", ALL, True, 1, 1,
    ),
    "dead_servo": _Kind("a servo neither hears nor answers; it has power", ONE, True, 0),
    "duplicate_id": _Kind("a second servo has the same ID, and both talk at once", ONE, True, 0),
    "overload": _Kind("hardware error; torque off if `shutdown` says so", ONE, True, 0),
    "overheating": _Kind("hardware error; torque off if `shutdown` says so", ONE, True, 0),
    "undervoltage": _Kind("hardware error; torque off if `shutdown` says so", ONE, True, 0),
    "servo_reboot": _Kind("a servo restarts by itself: silent, RAM gone, limp", ONE, True, 0),
    "brown_out": _Kind("all servos of the arm lose their power and restart", ALL, True, 0),
    "unplugged": _Kind("the port hangs up and its link vanishes", ALL, True, 0),
    "slow_bus": _Kind("bytes take `strength` times as long as they should", ALL, True, 10, 1e4),
}  # fmt: skip

FAULTS: Mapping[str, str] = MappingProxyType({name: kind.words for name, kind in _KINDS.items()})
"""The kinds of fault and what they are, in a line each."""


class FaultError(ValueError):
    """A fault that cannot be; the message says what exists."""


@dataclass(frozen=True)
class Fault:
    """A fault of `kind`, one of FAULTS; checked.

    servo: whom it befalls, by ID, shadows too; 0 where it befalls the line.
    duration_s: how long what lasts goes on, 0 until cleared. A hardware error comes back after a
    reboot for so long (0: it passes at once, and stays noted until the reboot); a servo or an arm
    that restarts has no power for so long.
    strength: see FAULTS; 0 takes the default.
    """

    kind: str
    servo: int = 0
    duration_s: float = 0.0
    strength: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise FaultError(f"no fault '{self.kind}'; there is {', '.join(_KINDS)}")
        kind = _KINDS[self.kind]
        if kind.servo == ONE and not self.servo:
            raise FaultError(f"{self.kind} befalls one servo: give its ID")
        if kind.servo == ALL and self.servo:
            raise FaultError(f"{self.kind} befalls {ALL}: give no servo, got {self.servo}")
        if not 0.0 <= self.duration_s < math.inf:
            raise FaultError(f"{self.kind}: duration must be 0 s or more, got {self.duration_s}")
        if self.duration_s and not kind.lasts:
            raise FaultError(f"{self.kind} happens at once: give no duration")
        if self.strength and not kind.strength:
            raise FaultError(f"{self.kind} has no strength: give none")
        if not 0.0 <= self.strength <= kind.at_most:
            most = "" if kind.at_most == math.inf else f" … {kind.at_most:g}"
            raise FaultError(f"{self.kind}: strength must lie in 0{most}, got {self.strength}")

    @property
    def force(self) -> float:
        """The strength, or its default."""
        return self.strength or _KINDS[self.kind].strength
