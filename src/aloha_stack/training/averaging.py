"""An exponential moving average of weights: calmer than the last ones, and mostly better."""

from collections.abc import Mapping

import torch
from torch import Tensor


class Average:
    """average += (1 - decay) * (weights - average), each step; with decay 0 the weights themselves.

    The first steps count for more (decay at most (1 + n) / (10 + n)), so that the average does not
    remember the start values: as TensorFlow's ExponentialMovingAverage does.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self._live = {name: value.detach() for name, value in weights.items()}
        self.decay = decay
        self.weights = self._live
        if decay:
            self.weights = {name: value.clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After step number `step`, which counts from 1."""
        if self.decay:
            share = 1 - min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(
                list(self.weights.values()), list(self._live.values()), weight=share
            )
