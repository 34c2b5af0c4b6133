"""What an SNDS network is made of, and what it knows of the motion that it learnt."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from aloha_stack.policies.config import Checked
from aloha_stack.policies.lyapunov import ANCHORS, TANGENT
from aloha_stack.policies.policy import NAMES, PolicyError
from aloha_stack.robot.joints import ARM_JOINTS, JOINTS, SIDES

JOINT_SPACE, POSE_SPACE = "joints", "pose"
SPACES = (JOINT_SPACE, POSE_SPACE)


@dataclass(frozen=True)
class SndsConfig(Checked):
    """Raises PolicyError, which names the key, for what cannot be.

    The defaults of the networks are the released ones (arXiv 2403.04118): 256-256-256 and 64-64.
    `alpha` is per duration of a demonstration. Released is 0.01 per second, which allows minutes
    to arrive. With 1.5 V falls to exp(-15) of what it was in ten durations, from anywhere; as
    V >= epsilon |x|², from V = 10 that is within 2 % of the unit of length.
    """

    space: str = JOINT_SPACE
    arms: tuple[str, ...] = SIDES
    hidden: tuple[int, ...] = (256, 256, 256)
    lyapunov_hidden: tuple[int, ...] = (64, 64)
    alpha: float = 1.5
    epsilon: float = 0.01
    anchor: str = TANGENT  # or "clamp", see policies/lyapunov.py
    warps: int = 0  # layers of policies/warp.py: a V that is not convex
    tolerance_rad: float = 0.15  # how far arms may be from where they were sent, before that counts

    def __post_init__(self) -> None:
        self.need(self.space in SPACES, "space", " or ".join(SPACES))
        known = isinstance(self.arms, tuple) and set(self.arms) <= set(SIDES)
        once = known and len(set(self.arms)) == len(self.arms) > 0
        self.need(once, "arms", f"some of {', '.join(SIDES)}, each once")
        for name in ("hidden", "lyapunov_hidden"):
            sizes = getattr(self, name)
            good = isinstance(sizes, tuple) and len(sizes) > 0 and all(map(_size, sizes))
            self.need(good, name, "a list of layers' sizes, from 1")
        for name in ("alpha", "epsilon", "tolerance_rad"):
            self.need(_positive(getattr(self, name)), name, "a number above 0")
        good = isinstance(self.warps, int) and not isinstance(self.warps, bool)
        self.need(good and 0 <= self.warps <= 64, "warps", "a whole number, 0 to 64")
        self.need(self.anchor in ANCHORS, "anchor", " or ".join(ANCHORS))

    @property
    def dim(self) -> int:
        """Of the state: six numbers an arm, joints or pose."""
        return len(ARM_JOINTS) * len(self.arms)

    @property
    def columns(self) -> np.ndarray:
        """Of the 14 numbers, those of the arms' joints (dim,); grippers are held."""
        starts = [SIDES.index(arm) * len(JOINTS) for arm in self.arms]
        return np.concatenate([start + np.arange(len(ARM_JOINTS)) for start in starts])

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "SndsConfig":
        """The reverse; what is not said has its default. Raises PolicyError."""
        known = [field.name for field in fields(SndsConfig)]
        unknown = [key for key in data if key not in known]
        if unknown:
            raise PolicyError(f"config: unknown: {', '.join(unknown)}; it has {', '.join(known)}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return SndsConfig(**values)


@dataclass(frozen=True, eq=False)
class Motion:
    """Units and bounds of a learnt motion. Arrays are (14,), `goal` in the units of a state; or
    (dim,), in the network's units: a coordinate over its `scale`, relative to the goal."""

    goal: np.ndarray  # (14,)
    lower: np.ndarray  # (14,) that may be commanded
    upper: np.ndarray
    scale: np.ndarray  # (dim,) rad or m in a unit
    time_s: float  # in a unit of time: the demonstrations' mean duration
    low: np.ndarray  # (dim,) the box around the demonstrations, in units
    high: np.ndarray

    def __post_init__(self) -> None:
        for name in ("goal", "lower", "upper", "scale", "low", "high"):
            values = getattr(self, name)
            length = len(self.scale) if name in ("scale", "low", "high") else len(NAMES)
            if values.shape != (length,) or not np.isfinite(values).all():
                raise PolicyError(f"motion.{name}: expected {length} numbers, found {values}")
        if not ((self.scale > 0).all() and np.isfinite(self.time_s) and self.time_s > 0):
            raise PolicyError(
                f"motion.scale and time_s: expected numbers above 0, found {self.scale.tolist()}, "
                f"{self.time_s}"
            )
        if not (self.low <= self.high).all():
            raise PolicyError("motion.low: expected nothing above motion.high")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @staticmethod
    def of(statistics: Mapping[str, Any], dim: int) -> "Motion":
        """From a checkpoint's statistics. Raises PolicyError for one of other dimensions."""
        motion = Motion.from_dict(statistics.get("motion") or {})
        if len(motion.scale) != dim:
            raise PolicyError(f"motion.scale: {len(motion.scale)} numbers, a network of {dim}")
        return motion

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Motion":
        """The reverse. Raises PolicyError."""
        try:
            values: dict[str, Any] = {
                name: np.asarray(data[name], dtype=np.float64)
                for name in (field.name for field in fields(Motion))
            }
            values["time_s"] = float(data["time_s"])
        except (KeyError, TypeError, ValueError) as error:
            raise PolicyError(f"statistics of motion: {error!r} is missing or no number") from error
        return Motion(**values)


def _size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1 << 14


def _positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < 1e6
