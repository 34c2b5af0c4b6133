"""What exporters and importers pass on: the steps of one episode, wherever they come from.

An episode of steps has no gap: what was recorded with pauses or gaps comes as several of them, so
that no policy is trained over a jump in time.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import cv2
import numpy as np

from aloha_stack.episodes.errors import EpisodeError

LOOK_AHEAD = 8
"""Pictures that are decoded ahead: enough for two threads, and no more than 8 MB of 640x480."""

SAME_RATE = 0.1
"""Share by which the rates of one camera may differ between episodes."""


class Pictures(Protocol):
    """The T pictures of one camera, one for each step."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def rate_hz(self) -> float | None:
        """Of the camera; None where it is not known."""

    def rgb(self, step: int) -> np.ndarray:
        """(height, width, 3) uint8. Raises EpisodeError, which names the picture."""

    def jpeg(self, step: int) -> bytes | None:
        """The picture as the camera's own JPEG; None where it is kept in another form."""


@dataclass(frozen=True)
class EpisodeSteps:
    """T steps at `fps`, of 14 numbers each (order and units: `joint_numbers`), float64.

    `capture_ns` and `joint_age_ns` are empty where the source does not know them.
    """

    source: str  # what to call it in messages: the file, and which part of it
    task: str
    robot: str  # "" where the source does not know it
    fps: int
    time_ns: np.ndarray  # (T,) int64
    state: np.ndarray  # (T, 14)
    action: np.ndarray  # (T, 14)
    velocity: np.ndarray | None  # (T, 14)
    effort: np.ndarray | None  # (T, 14)
    commander: np.ndarray  # (T,) uint8: who gave the action, by number in COMMANDERS
    cameras: Mapping[str, Pictures]
    capture_ns: Mapping[str, np.ndarray]  # camera -> (T,) int64, exposure
    joint_age_ns: Mapping[str, np.ndarray]  # topic -> (T,) int64, step - stamp of the sample
    remarks: tuple[str, ...] = ()  # what a person should know
    method: str = ""  # how samples were chosen (step_grid.METHODS); "" where it is not known

    def __len__(self) -> int:
        return len(self.state)


@dataclass(frozen=True)
class Form:
    """What the episodes of one data set have to share."""

    robot: str
    fps: int
    sizes: Mapping[str, tuple[int, int]]  # camera -> (height, width)
    rates: Mapping[str, float | None]  # camera -> Hz, if known
    velocity: bool
    effort: bool
    capture: bool
    joints: tuple[str, ...]  # topics whose age is known

    @staticmethod
    def of(steps: EpisodeSteps) -> "Form":
        """The form of an episode."""
        return Form(
            steps.robot,
            steps.fps,
            {name: (p.height, p.width) for name, p in steps.cameras.items()},
            {name: p.rate_hz for name, p in steps.cameras.items()},
            steps.velocity is not None,
            steps.effort is not None,
            bool(steps.capture_ns),
            tuple(steps.joint_age_ns),
        )

    def difference(self, other: "Form") -> str:
        """What `other` has differently, in words; "" if it is the same."""
        mine, its = vars(self), vars(other)
        found = [
            f"{words} {_words(its[key])} instead of {_words(mine[key])}"
            for key, words in _WORDS.items()
            if mine[key] != its[key]
        ]
        for name, rate in self.rates.items():
            its_rate = other.rates.get(name)
            if rate and its_rate and abs(its_rate / rate - 1) > SAME_RATE:
                found.append(f"{name} came at {its_rate:.1f} Hz instead of {rate:.1f} Hz")
        return "; ".join(found)

    def other_cameras(self, other: "Form") -> str:
        """Cameras that only one of the two has, in words; "" if there are none."""
        mine, its = set(self.sizes), set(other.sizes)
        parts = (("it lacks", mine - its), ("only it has", its - mine))
        return "; ".join(f"{words} {', '.join(sorted(n))}" for words, n in parts if n)


_WORDS = {
    "robot": "robot",
    "fps": "steps per second",
    "sizes": "cameras",
    "velocity": "velocities",
    "effort": "efforts",
    "capture": "capture times",
    "joints": "joint streams",
}


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {width}×{height}" for name, (height, width) in value.items())
    if isinstance(value, bool):
        return "present" if value else "absent"
    return ", ".join(value) if isinstance(value, tuple) else str(value) or "unknown"


def check_numbers(steps: EpisodeSteps) -> None:
    """Raises EpisodeError if a number is none: it would poison statistics and policies."""
    for name in ("state", "action", "velocity", "effort"):
        values = getattr(steps, name)
        if values is None:
            continue
        bad = ~np.isfinite(values)
        if bad.any():
            step, column = np.argwhere(bad)[0]
            raise EpisodeError(
                f"{steps.source}: {name} has {int(bad.sum())} values that are no numbers, the "
                f"first at step {step}, column {column}; leave this episode out, or record it again"
            )


@dataclass(frozen=True)
class Resized:
    """Pictures brought to another size."""

    pictures: Pictures
    height: int
    width: int

    @property
    def rate_hz(self) -> float | None:
        return self.pictures.rate_hz

    def rgb(self, step: int) -> np.ndarray:
        picture = self.pictures.rgb(step)
        if picture.shape[:2] == (self.height, self.width):
            return picture
        smaller = self.width < picture.shape[1]
        method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        return cv2.resize(picture, (self.width, self.height), interpolation=method)

    def jpeg(self, step: int) -> bytes | None:
        same = (self.pictures.height, self.pictures.width) == (self.height, self.width)
        return self.pictures.jpeg(step) if same else None


def chosen_cameras(
    available: Sequence[str], wanted: Sequence[str] | None, source: str
) -> tuple[str, ...]:
    """The cameras to export, `wanted` or all. Raises EpisodeError for one that is missing."""
    missing = [name for name in wanted or () if name not in available]
    if missing or not available:
        raise EpisodeError(
            f"{source} has no pictures of {', '.join(missing) or 'any camera'}; it has "
            f"{', '.join(available) or 'none'}"
        )
    return tuple(wanted or available)


def decoded(pictures: Pictures, count: int) -> Iterator[np.ndarray]:
    """The first `count` pictures in order, decoded by two threads a few ahead."""
    with ThreadPoolExecutor(2) as pool:
        steps = iter(range(count))
        ahead: list[Future[np.ndarray]] = [
            pool.submit(pictures.rgb, step) for step in islice(steps, LOOK_AHEAD)
        ]
        try:
            while ahead:
                yield ahead.pop(0).result()
                ahead += [pool.submit(pictures.rgb, step) for step in islice(steps, 1)]
        finally:
            for waiting in ahead:
                waiting.cancel()
