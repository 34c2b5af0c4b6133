"""What may go wrong in a rollout: pushes, late commands, another light, noisy cameras.

What happens in an episode is drawn from its seed alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aloha_stack.robot.joints import FOLLOWERS

PUSH, DELAY, LIGHT, NOISE = KINDS = ("push", "delay", "light", "noise")
ALL = "all"

PUSHES = 3
"""Of each arm, in an episode."""
PUSH_N = (20.0, 50.0)
"""How strong, in any direction: a firm nudge by hand."""
PUSH_S = (0.1, 0.3)
WITHIN_S = 6.0
"""Pushes begin in this first part of an episode, in which the work is done."""

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
        if unknown := self._kinds - set(KINDS):
            raise ValueError(f"no disturbance {', '.join(unknown)}; there is {', '.join(KINDS)}")
        # A stream for each kind: all together they are what each is alone.
        push, light, noise = (np.random.default_rng([seed, place]) for place in range(3))
        self.pushes = _pushes(push) if PUSH in self._kinds else ()
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

    def picture(self, image: np.ndarray) -> np.ndarray:
        """What the camera makes of an image (height, width, 3) uint8."""
        if self.light == 1.0 and NOISE not in self._kinds:
            return image
        changed = image.astype(np.float32) * np.float32(self.light)
        if NOISE in self._kinds:
            changed += NOISE_LEVELS * self._noise.standard_normal(image.shape, np.float32)
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _pushes(chance: np.random.Generator) -> tuple[Push, ...]:
    pushes = []
    for follower in FOLLOWERS:
        for begin_s in chance.uniform(0, WITHIN_S, PUSHES):
            direction = chance.standard_normal(3)
            force = chance.uniform(*PUSH_N) * direction / np.linalg.norm(direction)
            pushes.append(Push(follower, begin_s, begin_s + chance.uniform(*PUSH_S), force))
    return tuple(pushes)
