"""Stable neural dynamics: a nominal network, corrected where it would not lower V fast enough.

    n = V'(x) / |V'(x)|
    f(x) = f^(x) - n · relu(n·f^(x) + alpha V(x) / |V'(x)|)          with f^(0) = 0

so that V'(x)·f(x) <= -alpha V(x) for every x and every weight: f leaves f^ alone where that holds,
and takes away just what is too much where it does not. With V as in policies/lyapunov.py the goal
is the only equilibrium, and V(x(t)) <= exp(-alpha t) V(x(0)) from every start: globally
asymptotically stable. Written with the unit normal n, nothing is divided by |V'|², which vanishes
at the goal; the correction is at most |f^| + alpha |x|, by (1) of lyapunov.py, and so vanishes
there, too. `alpha` is per unit of the network's time.

How a control loop keeps that, step by step, is in policies/stable_steps.py.

Sources: Manek & Kolter 2019 (arXiv 2001.06116) for the projection; Abyaneh, Sosa, Lin 2024 (arXiv
2403.04118) for joint learning of both networks as a policy.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aloha_stack.policies.lyapunov import TANGENT, Lyapunov
from aloha_stack.policies.stable_steps import Limit, Steps, traced

SLOPE = 0.01
"""Of the nominal network's leaky ReLU below 0, as released with the paper."""
LEAST_NORM = 1e-12
"""Instead of |V'| = 0, at the goal."""


class StableDynamics(nn.Module):
    """f of states (B, dim), relative to the goal, in the network's units of length and time."""

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int] = (256, 256, 256),
        lyapunov_hidden: Sequence[int] = (64, 64),
        alpha: float = 1.5,
        epsilon: float = 0.01,
        anchor: str = TANGENT,
        warps: int = 0,
    ) -> None:
        super().__init__()
        self.dim = dim
        layers: list[nn.Module] = []
        for before, after in zip((dim, *hidden[:-1]), hidden, strict=True):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        self.nominal = nn.Sequential(*layers, nn.Linear(hidden[-1], dim, bias=False))
        self.lyapunov = Lyapunov(dim, lyapunov_hidden, epsilon, anchor, warps)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """f (B, dim)."""
        return self.flow_and_value(x)[0]

    def flow_and_value(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f (B, dim) and V (B,)."""
        nominal = self.nominal(torch.cat([x, torch.zeros_like(x[:1])]))
        value, slope = self.lyapunov.value_and_slope(x)
        return project(nominal[:-1] - nominal[-1], value, slope, self.alpha), value

    @torch.no_grad()
    def step(self, x: Tensor, time: float, limit: Limit | None = None) -> Tensor:
        """Where states (B, dim) are `time` later: inside the limits, and V fell as it should."""
        return Steps(self.flow_and_value, self.lyapunov, self.alpha).step(x, time, limit)

    def for_acting(self) -> Steps:
        """The same steps in less than half of the time, for weights that stay as they are."""
        flow_and_value = traced(self.flow_and_value, self, self.dim)
        return Steps(flow_and_value, traced(self.lyapunov, self.lyapunov, self.dim), self.alpha)


def project(nominal: Tensor, value: Tensor, slope: Tensor, alpha: float) -> Tensor:
    """The velocity next to `nominal` (B, dim) that lowers V as fast as alpha asks for, from V
    (B,) and its gradient (B, dim)."""
    norm = ((slope * slope).sum(-1) + LEAST_NORM**2).sqrt()
    normal = slope / norm[..., None]
    excess = torch.relu((normal * nominal).sum(-1) + alpha * value / norm)
    return nominal - excess[..., None] * normal
