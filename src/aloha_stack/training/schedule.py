"""How far training is, and what step size that means."""

import math
from dataclasses import dataclass

from aloha_stack.training.recipes import COSINE, TrainingRecipe

FINAL = 0.01
"""Of the cosine's end: the last steps still move a little."""


@dataclass(frozen=True)
class Schedule:
    """By steps, or by wall time where minutes are given; then a seed does not tell all."""

    recipe: TrainingRecipe

    def done(self, step: int, elapsed_s: float, reserve_s: float = 0.0) -> float:
        """The share of the training that is over, 1 at its end. `reserve_s` is time that is kept
        for the last validation."""
        if self.recipe.minutes is None:
            return step / self.recipe.steps
        return elapsed_s / max(60 * self.recipe.minutes - reserve_s, 1.0)

    def factor(self, step: int, done: float) -> float:
        """What the step size is multiplied with in step number `step`, which counts from 0."""
        warm = min(1.0, (step + 1) / (self.recipe.warmup + 1))
        if self.recipe.schedule != COSINE:
            return warm
        wave = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return warm * (FINAL + (1 - FINAL) * wave)
