"""What a stable flow is asked for: to move as demonstrations did, now and for a while.

From a window of a demonstration, x_0 … x_H, h apart, with v_k = (x_{k+1} - x_k) / h:

    velocity    mean |f(x_0) - v_0|²
    rollout     mean over k = 1 … H of |y_k - x_k|² / (k h)²,   y_{k+1} = y_k + h f(y_k), y_0 = x_0
    srvf        mean over k of |q(f(y_k)) - q(v_k)|²,           q(v) = v / sqrt|v|

The rollout is forward Euler, as the policy itself moves; a state's error over the time that it had
is a mean error of velocity, so that all terms are of one unit. The square-root velocity function q
compares the shapes of two curves rather than their speeds (Srivastava et al. 2011): the paper's
alignment of trajectories. All numbers are in the network's units: one scale for positions and
velocities, without which a rollout would have nothing to do with either.

Source: Abyaneh, Sosa, Lin 2024 (arXiv 2403.04118), whose released code has the first term only.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SPEED_FLOOR = 1e-2
"""Below it, in units of length and time, q is no longer steep: its slope at rest is infinite."""


@dataclass(frozen=True)
class Alignment:
    """Weights of the terms; `horizon` H. Without rollout and srvf only velocities are learnt."""

    velocity: float = 1.0
    rollout: float = 1.0
    srvf: float = 0.1
    horizon: int = 8

    @property
    def steps(self) -> int:
        """Of the rollout that is needed."""
        return self.horizon if self.rollout > 0 or self.srvf > 0 else 1


VELOCITY_ONLY = Alignment(rollout=0.0, srvf=0.0)


def terms(
    flow: Callable[[Tensor], Tensor], window: Tensor, step: float, alignment: Alignment
) -> dict[str, Tensor]:
    """Each term's mean () over windows (B, H + 2, dim), `step` h apart; those of weight 0 are left
    out."""
    velocities = (window[:, 1:] - window[:, :-1]) / step
    point, moved = window[:, 0], flow(window[:, 0])
    found = {"velocity": _square(moved - velocities[:, 0])}
    if alignment.steps == 1 and not (alignment.rollout or alignment.srvf):
        return found
    rollout, srvf = torch.zeros_like(found["velocity"]), torch.zeros_like(found["velocity"])
    for k in range(1, alignment.steps + 1):
        point = point + step * moved
        rollout = rollout + _square((point - window[:, k]) / (k * step)) / alignment.steps
        if k < alignment.steps or alignment.srvf > 0:
            moved = flow(point)
            root = _square(square_root_velocity(moved) - square_root_velocity(velocities[:, k]))
            srvf = srvf + root / alignment.steps
    if alignment.rollout > 0:
        found["rollout"] = rollout
    if alignment.srvf > 0:
        found["srvf"] = srvf
    return found


def weighted(found: dict[str, Tensor], alignment: Alignment) -> Tensor:
    """The loss () of its terms."""
    parts = [getattr(alignment, name) * value for name, value in found.items()]
    return torch.stack(parts).sum()


def square_root_velocity(velocity: Tensor) -> Tensor:
    """q of velocities (..., dim), smooth at rest."""
    squared = (velocity * velocity).sum(-1, keepdim=True)
    return velocity / (squared + SPEED_FLOOR**2) ** 0.25


def _square(difference: Tensor) -> Tensor:
    return (difference * difference).sum(-1).mean()
