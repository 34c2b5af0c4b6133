"""What a policy is: it reads an observation and returns joint targets for the next ticks.

A policy knows its robot, cameras, image size and rate; it knows nothing of ROS, files or threads.
What comes in and what goes out is checked here, by name, so that a wrong camera, a picture of
another size or a network that breaks down is an error and never a motion.

The 14 numbers of a state and of an action: left arm's six joints (rad), left gripper (0 closed, 1
open), then the right arm's. A *chunk* is float32 (n, 14); row k is the absolute target for
`stamp_ns + k * dt` of the observation that it was made from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np

from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import JOINTS, SIDES

NAMES = tuple(f"{side}_{joint}" for side in SIDES for joint in JOINTS)
"""Of the 14 numbers, in their order."""

LARGEST_PX = 4096
"""No camera's picture is higher or wider; a warm-up takes one of the size that is said."""


class PolicyError(ValueError):
    """A policy cannot do what was asked of it."""


class ObservationError(PolicyError):
    """What came in is not what the policy was trained on."""


class ChunkError(PolicyError):
    """What came out is no motion."""


@dataclass(frozen=True)
class Observation:
    """What the robot perceived at `stamp_ns` (the joints' stamp, ns of ROS time)."""

    state: np.ndarray  # (len(spec.state_names),) float32
    images: Mapping[str, np.ndarray]  # camera -> (H, W, 3) uint8 RGB
    stamp_ns: int = 0


@dataclass(frozen=True)
class PolicySpec:
    """What a policy needs and gives. Raises PolicyError for what cannot be."""

    policy: str  # which system, as policies/registry.py calls it
    robot: str  # whose numbers and cameras it was trained on; twin and aloha are alike
    cameras: tuple[str, ...]  # in the network's order
    image_size: tuple[int, int] | None  # (height, width) of every picture; None: any
    chunk: int  # rows of what `act` returns
    task: str
    rate_hz: float = 50.0
    state_names: tuple[str, ...] = NAMES
    action_names: tuple[str, ...] = NAMES
    stateful: bool = False  # whether `act` depends on what came since `reset`

    def __post_init__(self) -> None:
        for name in ("policy", "robot", "task"):
            if not isinstance(getattr(self, name), str):
                raise PolicyError(f"{name}: expected text, found {getattr(self, name)!r}")
        for name in ("cameras", "state_names", "action_names"):
            names = getattr(self, name)
            if not isinstance(names, tuple) or not all(isinstance(one, str) for one in names):
                raise PolicyError(f"{name}: expected names, found {names!r}")
            if len(set(names)) != len(names):
                raise PolicyError(f"{name}: {', '.join(names)} has one twice")
        if not self.action_names:
            raise PolicyError("action_names: a policy has to move something")
        size = self.image_size
        if size is not None and (
            not isinstance(size, tuple)
            or len(size) != 2
            or not all(_whole(px) and px <= LARGEST_PX for px in size)
        ):
            raise PolicyError(
                f"image_size: expected (height, width) of 1 … {LARGEST_PX} px, found {size!r}"
            )
        if not _whole(self.chunk):
            raise PolicyError(f"chunk: expected a number of ticks from 1, found {self.chunk!r}")
        rate = self.rate_hz
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= 1000:
            raise PolicyError(f"rate_hz: expected 0 … 1000 Hz, found {rate!r}")
        if not isinstance(self.stateful, bool):
            raise PolicyError(f"stateful: expected true or false, found {self.stateful!r}")

    @property
    def dt_s(self) -> float:
        """Time from one row of a chunk to the next."""
        return 1.0 / self.rate_hz

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "PolicySpec":
        """The reverse. Raises PolicyError, which names the key."""
        known = [field.name for field in fields(PolicySpec)]
        unknown = [key for key in data if key not in known]
        missing = [key for key in known[: known.index("rate_hz")] if key not in data]
        if unknown or missing:
            what = f"unknown: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
            raise PolicyError(f"spec: {what}; it has {', '.join(known)}")
        return PolicySpec(**{key: _tuples(value) for key, value in data.items()})


class Policy(Protocol):
    """An observation in, a chunk out."""

    @property
    def spec(self) -> PolicySpec:
        """What it needs and gives."""

    def reset(self) -> None:
        """A new episode begins: forget what came before."""

    def act(self, observation: Observation) -> np.ndarray:
        """The chunk (spec.chunk, 14) float32. Raises ObservationError, ChunkError."""


@runtime_checkable
class GoalPolicy(Protocol):
    """A policy that goes to a goal, which may be set at any time."""

    @property
    def goal(self) -> np.ndarray:
        """The state (14,) at which it ends."""

    def set_goal(self, state: np.ndarray) -> None:
        """From the next chunk on. Raises PolicyError for one that it may not go to."""


def check_observation(spec: PolicySpec, observation: Observation) -> None:
    """Raises ObservationError, which names the camera or the joint that does not fit."""
    state = observation.state
    if not isinstance(state, np.ndarray) or state.shape != (len(spec.state_names),):
        raise ObservationError(
            f"state: expected {len(spec.state_names)} numbers ({spec.state_names[0]} …), "
            f"found {_shape(state)}"
        )
    if not np.isfinite(state).all():
        wrong = _bad(spec.state_names, np.isfinite(state))
        raise ObservationError(f"state: {wrong} is no number (NaN or infinite)")
    if set(observation.images) != set(spec.cameras):
        missing = [name for name in spec.cameras if name not in observation.images]
        extra = sorted(set(observation.images) - set(spec.cameras))
        raise ObservationError(
            f"cameras: {_both('missing', missing, 'not known', extra)}; the policy was trained on "
            f"{', '.join(spec.cameras) or 'none'}"
        )
    for camera in spec.cameras:
        _check_image(spec, camera, observation.images[camera])


def _check_image(spec: PolicySpec, camera: str, image: np.ndarray) -> None:
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or not image.size
    ):
        raise ObservationError(
            f"{camera}: expected an RGB picture (H, W, 3) of uint8, found {_shape(image)}"
        )
    if spec.image_size is not None and image.shape[:2] != spec.image_size:
        (height, width), (h, w) = image.shape[:2], spec.image_size
        raise ObservationError(
            f"{camera}: a picture of {width}x{height} px; the policy was trained on {w}x{h}: "
            "scale it as in training, or set the camera's size"
        )


ABSURD = 12.0
"""rad; two turns. Joints have less than one, and grippers go from 0 to 1."""


def check_chunk(spec: PolicySpec, chunk: np.ndarray) -> None:
    """Raises ChunkError: a chunk of another shape, with numbers that are none, or out of all
    reach."""
    shape = (spec.chunk, len(spec.action_names))
    if not isinstance(chunk, np.ndarray) or chunk.dtype != np.float32 or chunk.shape != shape:
        raise ChunkError(f"the policy gave {_shape(chunk)} instead of float32 {shape}")
    finite = np.isfinite(chunk)
    if not finite.all():
        wrong = _bad(spec.action_names, finite.all(axis=0))
        raise ChunkError(
            f"the policy gave no number (NaN or infinite) for {wrong}, first at row "
            f"{int(np.argmin(finite.all(axis=1)))}; nothing of this chunk may move the robot"
        )
    near = np.abs(chunk) <= ABSURD
    if not near.all():
        wrong = _bad(spec.action_names, near.all(axis=0))
        row = int(np.argmin(near.all(axis=1)))
        raise ChunkError(
            f"the policy gave targets that no joint has ever had (more than {ABSURD} rad) for "
            f"{wrong}, first at row {row}: is it of another robot, or its statistics of other "
            "data? Nothing of this chunk may move the robot"
        )


ALIKE = frozenset({"aloha", "twin"})
"""Robots whose policies are exchangeable: their files differ in ports and sources only."""


def check_robot(spec: PolicySpec, robot: Robot, unchosen: Sequence[str] = ()) -> None:
    """Raises PolicyError for a policy that was made for another robot than this one; `unchosen` are
    cameras that it has beside those of `robot`, which are left out by choice."""
    if spec.robot != robot.name and not {spec.robot, robot.name} <= ALIKE:
        raise PolicyError(f"the policy was trained on robot '{spec.robot}', this is '{robot.name}'")
    missing = [camera for camera in spec.cameras if camera not in robot.cameras]
    if missing:
        chosen_too = set(missing) <= set(unchosen)
        mend = f"; start with camera_names:={','.join(spec.cameras)}" if chosen_too else ""
        raise PolicyError(
            f"the policy needs {', '.join(missing)}; robot '{robot.name}' has "
            f"{', '.join(robot.cameras) or 'no camera'}{mend}"
        )
    for what, names in (("state", spec.state_names), ("action", spec.action_names)):
        if names[: len(NAMES)] != NAMES:
            raise PolicyError(
                f"the policy's {what} is {', '.join(names)}; the robot's is {', '.join(NAMES)}"
            )


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _bad(names: Sequence[str], good: np.ndarray) -> str:
    return ", ".join(name for name, fine in zip(names, good, strict=True) if not fine)


def _both(one: str, ones: Sequence[str], other: str, others: Sequence[str]) -> str:
    parts = [
        f"{word} {', '.join(names)}" for word, names in ((one, ones), (other, others)) if names
    ]
    return ", ".join(parts)


def _shape(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return type(value).__name__
