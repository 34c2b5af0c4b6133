"""What the panels show, as plain data: made by the link, looked at by the widgets.

Whatever can fall silent comes as `Heard`: a value that is true now, or the words for its absence. A
widget can so never show an old value as if it were alive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")

Joints = tuple[float, ...]
"""The seven addressed joints of an arm, rad, in the order of aloha_stack's JOINTS."""


@dataclass(frozen=True)
class Heard(Generic[Value]):
    """What somebody says now; where `value` is None, `absence` says since when nothing."""

    value: Value | None = None
    absence: str = "missing"


MISSING: Heard[Any] = Heard()


@dataclass(frozen=True)
class ArmView:
    """As in aloha_interfaces/ArmStatus; `hz` are bus cycles per second of ROS time."""

    mode: str
    reason: str
    torque: bool
    hz: float
    read_age_s: float
    cycles: int = 0
    overruns: int = 0


@dataclass(frozen=True)
class SideView:
    """One leader, its follower, and what was written to the follower's wire."""

    leader: Heard[Joints] = MISSING
    follower: Heard[Joints] = MISSING
    command: Heard[Joints] = MISSING


@dataclass(frozen=True)
class SafetyView:
    e_stopped: bool
    cause: str
    pending: tuple[str, ...]


@dataclass(frozen=True)
class TeleopView:
    state: str
    reason: str


@dataclass(frozen=True)
class PlayerView:
    """As in aloha_interfaces/PlayerState; `hz` are ticks per second of ROS time, NaN if unknown."""

    state: str
    commander: str
    reason: str
    hz: float
    chunk_age_s: float
    inference_s: float
    chunks: int
    overruns: int
    holds: int
    takeovers: int


@dataclass(frozen=True)
class PolicyView:
    state: str
    reason: str
    checkpoint: str
    inference_s: float
    chunks: int
    failures: int


@dataclass(frozen=True)
class RecorderView:
    state: str
    path: str
    task: str
    elapsed_s: float
    messages: int
    lost: int
    free_gib: float
    silent: tuple[str, ...]
    last_path: str
    last_outcome: str
    kept: int
    message: str


@dataclass(frozen=True)
class ChunkView:
    """Predicted joints: rows of the seven joints of a side, at these times (s of ROS time)."""

    times_s: tuple[float, ...]
    rows: Mapping[str, tuple[Joints, ...]]


@dataclass(frozen=True)
class Motion:
    """What a follower did, oldest first: times (s of ROS time) and joints."""

    times_s: tuple[float, ...] = ()
    rows: tuple[Joints, ...] = ()


@dataclass(frozen=True)
class PictureView:
    """`image` is a QImage, small; `number` counts the pictures, so that none is drawn twice."""

    image: Any
    number: int


@dataclass(frozen=True)
class HealthRow:
    """One status of /diagnostics: `level` is ok, warn, error, or stale for what fell silent."""

    name: str
    level: str
    message: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class View:
    """Everything, at one moment."""

    arms: Mapping[str, Heard[ArmView]] = field(default_factory=dict)
    sides: Mapping[str, SideView] = field(default_factory=dict)
    safety: Heard[SafetyView] = MISSING
    teleop: Heard[TeleopView] = MISSING
    player: Heard[PlayerView] = MISSING
    policy: Heard[PolicyView] = MISSING
    recorder: Heard[RecorderView] = MISSING
    chunk: Heard[ChunkView] = MISSING
    motion: Mapping[str, Motion] = field(default_factory=dict)
    pictures: Mapping[str, Heard[PictureView]] = field(default_factory=dict)
    camera_rates: Mapping[str, str] = field(default_factory=dict)
    health: tuple[HealthRow, ...] = ()
    commander: Heard[str] = MISSING
    """Who moves the followers, in the monitor's word; it knows of replays, too."""


@dataclass(frozen=True)
class Bounds:
    """Of the seven joints of an arm, rad: where they may go."""

    lower: Joints
    upper: Joints
