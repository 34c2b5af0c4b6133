"""Which faults the bench strikes with, at which servo of which arm, and how long they last."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aloha_stack.robot.joints import ARMS
from aloha_stack.twin.faults import FAULTS, Fault

DETECT_S = 0.2
"""ROS time in which a fault must be seen."""

TWO_CYCLES_S = 0.03
"""For a lost reply: lost within a cycle of being asked for, and seen within two more."""


@dataclass(frozen=True)
class Case:
    """A fault of `kind` at the same time on all arms; `servos` by arm, none for the whole line."""

    kind: str
    servos: Mapping[str, int] = field(default_factory=dict)
    duration_s: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    def fault(self, arm: str) -> Fault:
        """What befalls `arm`."""
        return Fault(self.kind, self.servos.get(arm, 0), self.duration_s)

    @property
    def detect_s(self) -> float:
        return TWO_CYCLES_S if self.kind == "lost_reply" else DETECT_S


def _at(*servos: int) -> dict[str, int]:
    """Servo IDs in the order of ARMS."""
    return dict(zip(ARMS, servos, strict=True))


CASES = (
    Case("lost_reply", _at(2, 9, 1, 9)),
    Case("crc_noise", duration_s=1.0),
    Case("truncated", duration_s=1.0),
    Case("concatenated", duration_s=1.0),
    Case("dead_servo", _at(4, 7, 6, 9), 1.5),
    Case("dead_servo", _at(3, 5, 3, 5), 1.5, name="dead_servo (a shadow)"),
    Case("duplicate_id", _at(6, 1, 8, 4), 1.5),
    Case("overload", _at(2, 9, 2, 9)),
    Case("overheating", _at(4, 8, 4, 1), 1.0),
    Case("undervoltage", _at(1, 4, 7, 2), 1.0),
    Case("servo_reboot", _at(2, 6, 2, 9)),
    Case("servo_reboot", _at(5, 3, 5, 3), name="servo_reboot (a shadow)"),
    Case("brown_out", duration_s=0.5),
    Case("unplugged", duration_s=1.0),
    Case("slow_bus", duration_s=1.5),
)
"""Every kind of FAULTS (a test compares). Durations are in ROS time."""


def chosen(kinds: list[str]) -> tuple[Case, ...]:
    """The cases of these kinds, all without any. ValueError names what exists."""
    unknown = [kind for kind in kinds if kind not in FAULTS]
    if unknown:
        raise ValueError(f"no fault '{unknown[0]}'; there is {', '.join(FAULTS)}")
    return tuple(case for case in CASES if not kinds or case.kind in kinds)
