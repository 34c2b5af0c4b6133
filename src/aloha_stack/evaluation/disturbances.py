"""What may go wrong in a rollout: pushes, late commands, another light, noisy cameras; arms shoved
out of their way, a goal that moves while they are on it.

What happens in an episode is drawn from its seed alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aloha_stack.robot.joints import FOLLOWERS

PUSH, DELAY, LIGHT, NOISE = KINDS = ("push", "delay", "light", "noise")
ALL = "all"
SHOVE, GOAL = PERTURBATIONS = ("shove", "goal")
"""Those of motions to a goal."""
PERTURBED = "perturbed"

PUSHES = 3
"""Of each arm, in an episode."""
PUSH_N = (20.0, 50.0)
"""How strong, in any direction: a firm nudge by hand."""
PUSH_S = (0.1, 0.3)
WITHIN_S = 6.0
"""Pushes begin in this first part of an episode, in which the work is done."""

SHOVES = 2
"""Of each arm, in an episode."""
SHOVE_N = (60.0, 120.0)
"""It moves joints by 0.2 to 0.7 rad: the servos are overpowered."""
SHOVE_S = (0.2, 0.5)
SHOVED_WITHIN_S = 2.5
"""Shoves begin in this first part of an episode: a motion to a goal is under way, or just over."""

MOVED_S = (0.5, 2.0)
"""When a goal moves."""
MOVED_M = 0.04
"""How far at most, along each axis."""

DELAY_S = 0.06
"""By so much later does every target leave for its arm."""

LIGHT_SHARE = 0.2
"""An episode's pictures are brighter or darker by up to this share, all cameras alike."""

NOISE_LEVELS = 10.0
"""Standard deviation of every pixel and colour, in grey levels of 255, before JPEG."""


@dataclass(frozen=True)
class Push:
    """`force` (3,) N on the gripper of `follower` from `begin_s` to `end_s` of the episode."""

    follower: str
    begin_s: float
    end_s: float
    force: np.ndarray


class Disturbances:
    """Of the episode of `seed`: those of `kinds` that are named."""

    def __init__(self, kinds: Iterable[str], seed: int) -> None:
        self._kinds = frozenset(kinds)
        known = (*KINDS, *PERTURBATIONS)
        if unknown := self._kinds - set(known):
            raise ValueError(f"no disturbance {', '.join(unknown)}; there is {', '.join(known)}")
        # A stream for each kind: all together they are what each is alone.
        streams = (np.random.default_rng([seed, place]) for place in range(5))
        push, light, noise, shove, goal = streams
        self.pushes = _pushes(push, PUSHES, WITHIN_S, PUSH_N, PUSH_S) if PUSH in self._kinds else ()
        if SHOVE in self._kinds:
            self.pushes += _pushes(shove, SHOVES, SHOVED_WITHIN_S, SHOVE_N, SHOVE_S)
        self._moved_s = float(goal.uniform(*MOVED_S))
        self._moved_m = goal.uniform(-MOVED_M, MOVED_M, 3) * (GOAL in self._kinds)
        self.delay_s = DELAY_S if DELAY in self._kinds else 0.0
        lit = light.uniform(1 - LIGHT_SHARE, 1 + LIGHT_SHARE)
        self.light = float(lit) if LIGHT in self._kinds else 1.0
        self._noise = noise

    def forces(self, time_s: float) -> dict[str, np.ndarray]:
        """What pulls at each gripper (3,) N, at this time of the episode."""
        forces = {name: np.zeros(3) for name in FOLLOWERS}
        for push in self.pushes:
            if push.begin_s <= time_s < push.end_s:
                forces[push.follower] += push.force
        return forces

    def goal_shift(self, time_s: float) -> np.ndarray:
        """How far (3,) m the goal is from where it first was, at this time of the episode."""
        moved: np.ndarray = self._moved_m * (time_s >= self._moved_s)
        return moved

    @property
    def over_s(self) -> float:
        """From when on in the episode no shove and no move of the goal follows: what is reached
        before does not count."""
        shoves = [push.end_s for push in self.pushes] if SHOVE in self._kinds else []
        return max([*shoves, self._moved_s if GOAL in self._kinds else 0.0])

    def picture(self, image: np.ndarray) -> np.ndarray:
        """What the camera makes of an image (height, width, 3) uint8."""
        if self.light == 1.0 and NOISE not in self._kinds:
            return image
        changed = image.astype(np.float32) * np.float32(self.light)
        if NOISE in self._kinds:
            changed += NOISE_LEVELS * self._noise.standard_normal(image.shape, np.float32)
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _pushes(
    chance: np.random.Generator,
    number: int,
    within_s: float,
    strong_n: tuple[float, float],
    long_s: tuple[float, float],
) -> tuple[Push, ...]:
    pushes = []
    for follower in FOLLOWERS:
        for begin_s in chance.uniform(0, within_s, number):
            direction = chance.standard_normal(3)
            force = chance.uniform(*strong_n) * direction / np.linalg.norm(direction)
            pushes.append(Push(follower, begin_s, begin_s + chance.uniform(*long_s), force))
    return tuple(pushes)
