"""What is compared on handwriting: SNDS, plain behaviour cloning, and SNDS as it was released."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from aloha_stack.policies.cloning import PlainDynamics
from aloha_stack.policies.lyapunov import Lyapunov
from aloha_stack.policies.stable_dynamics import StableDynamics
from aloha_stack.policies.stable_steps import Limit
from aloha_stack.training.snds_loss import VELOCITY_ONLY, Alignment

HIDDEN, LYAPUNOV_HIDDEN = (128, 128, 128), (64, 64)
WARPS = 6
"""SNDS' only. Without them no V falls along shapes that swing from side to side."""
EPSILON = 0.01
RELEASED_ALPHA = 0.05
"""Per duration: 0.01 per second, at the 5 s that a shape takes."""
RELEASED_FLOOR = 1e-10
"""Of |V'|², with which the released form is free of its 0/0 at the goal."""


class _Unanchored(Lyapunov):
    """V = g(x) - g(0) + eps |x|²: its minimum is where it likes."""

    def _anchored(
        self, x: Tensor, rise: Tensor, slope: Tensor, at_goal: Tensor
    ) -> tuple[Tensor, Tensor]:
        return rise, slope


class Released(StableDynamics):
    """As the paper's code was released (aminabyaneh/stable-imitation-policy): V without a clamp,
    correction by the square of its gradient, alpha = 0.01 per second, plain Euler steps."""

    def __init__(self) -> None:
        super().__init__(2, HIDDEN, LYAPUNOV_HIDDEN, RELEASED_ALPHA, EPSILON)
        self.lyapunov = _Unanchored(2, LYAPUNOV_HIDDEN, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        nominal = self.nominal(torch.cat([x, torch.zeros_like(x[:1])]))
        nominal = nominal[:-1] - nominal[-1]
        value, slope = self.lyapunov.value_and_slope(x)
        excess = torch.relu((slope * nominal).sum(-1) + self.alpha * value)
        square = (slope * slope).sum(-1).clamp(min=RELEASED_FLOOR)
        return nominal - (excess / square)[..., None] * slope

    @torch.no_grad()
    def step(self, x: Tensor, time: float, limit: Limit | None = None) -> Tensor:
        return x + time * self(x)


Writer = PlainDynamics | StableDynamics


@dataclass(frozen=True)
class Method:
    """A network, from the anchor of V and alpha, and what it is taught."""

    name: str
    title: str
    network: Callable[[str, float], Writer]
    alignment: Alignment
    stable: bool  # whether it has a V


def _stable(anchor: str, alpha: float) -> StableDynamics:
    return StableDynamics(2, HIDDEN, LYAPUNOV_HIDDEN, alpha, EPSILON, anchor, WARPS)


def _cloned(anchor: str, alpha: float) -> PlainDynamics:
    return PlainDynamics(2, HIDDEN)


METHODS = (
    Method("snds", "SNDS", _stable, Alignment(horizon=4), True),
    Method("cloning", "behaviour cloning", _cloned, VELOCITY_ONLY, False),
    Method("released", "SNDS as released", lambda anchor, alpha: Released(), VELOCITY_ONLY, True),
)
