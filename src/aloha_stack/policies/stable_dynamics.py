"""Stable neural dynamics: a nominal network, corrected where it would not lower V fast enough.

    n = V'(x) / |V'(x)|
    f(x) = f^(x) - n · relu(n·f^(x) + alpha V(x) / |V'(x)|)          with f^(0) = 0

so that V'(x)·f(x) <= -alpha V(x) for every x and every weight: f leaves f^ alone where that holds,
and takes away just what is too much where it does not. With V as in policies/lyapunov.py the goal
is the only equilibrium, and V(x(t)) <= exp(-alpha t) V(x(0)) from every start: globally
asymptotically stable. Written with the unit normal n, nothing is divided by |V'|², which vanishes
at the goal; the correction is at most |f^| + alpha |x|, by (1) of lyapunov.py, and so vanishes
there, too. `alpha` is per unit of the network's time.

A control loop moves in steps of h, not continuously. `step` keeps the guarantee there, too:

    V(step(x)) <= exp(-alpha h / 2) V(x)                                                     (3)

It integrates with forward Euler, in 1, 2, 4, 8 sub-steps until (3) holds at what the limits leave
of the result. If it does not even then, the point is drawn towards the goal by as much as it takes.
Of a V that is convex (2) of lyapunov.py tells without a search how much that is:
V(k x) <= exp(-alpha h / 2) V(x) for k = exp(-alpha h / 2) V(x) / V(x'). Of one that is warped it is
the least of PARTS parts of the way with which (3) holds, which at its end, in the goal, it does.
The limits are a convex set around the goal, so that drawing leaves none of them: both guarantees
hold at once, for any weights. A point nearer than ARRIVED is at the goal: there rounding would hide
what V does.

Sources: Manek & Kolter 2019 (arXiv 2001.06116) for the projection; Abyaneh, Sosa, Lin 2024 (arXiv
2403.04118) for joint learning of both networks as a policy; Lawrence et al. 2020, "Almost surely
stable deep dynamics" (arXiv 2103.14722) for drawing towards the minimum of a convex V.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from aloha_stack.policies.lyapunov import TANGENT, Lyapunov

SLOPE = 0.01
"""Of the nominal network's leaky ReLU below 0, as released with the paper."""
LEAST_NORM = 1e-12
"""Instead of |V'| = 0, at the goal."""
MOST_SUBSTEPS = 8
PARTS = 64
"""Of the way to the goal, in which a point is drawn there."""
ARRIVED = 1e-4
"""Distance from the goal, in the network's unit, that is none."""

Limit = Callable[[Tensor], Tensor]
"""Maps points (B, dim) into the limits, a convex set with the goal inside it."""


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
        """Where states (B, dim) are `time` later: inside the limits, and (3) holds."""
        with torch.inference_mode():  # a tenth quicker, where steps are small
            reached = self._reached(x, time, limit)
        near = torch.linalg.vector_norm(x, dim=-1, keepdim=True) < ARRIVED
        return torch.where(near, torch.zeros_like(x), reached)

    def _reached(self, x: Tensor, time: float, limit: Limit | None) -> Tensor:
        flow, before = self.flow_and_value(x)
        bound = math.exp(-self.alpha * time / 2) * before
        reached = x + time * flow
        if limit is not None:
            reached = limit(reached)
        value = self.lyapunov(reached)
        parts = 2
        while parts <= MOST_SUBSTEPS and bool((high := _above(value, bound)).any()):
            again = self._euler(x[high], time, parts, limit)
            reached[high], value[high] = again, self.lyapunov(again)
            parts *= 2
        high = _above(value, bound)
        if bool(high.any()):
            lost = ~torch.isfinite(value)
            stays = x if limit is None else limit(x)
            reached = torch.where(lost[:, None], stays, reached)
            factor = self._drawn(reached, bound)
            reached = torch.where(high[:, None], factor[:, None] * reached, reached)
        return reached

    def _drawn(self, x: Tensor, bound: Tensor) -> Tensor:
        """Factors (B,) of 1 at most with which V of x (B, dim) is within `bound` (B,)."""
        factor = (bound / self.lyapunov(x)).clamp(max=1)
        for part in range(PARTS + 1):
            high = _above(self.lyapunov(factor[:, None] * x), bound)
            if not bool(high.any()):
                break
            factor = torch.where(high, torch.full_like(factor, 1 - part / PARTS), factor)
        return factor

    def _euler(self, x: Tensor, time: float, parts: int, limit: Limit | None) -> Tensor:
        for _ in range(parts):
            x = x + time / parts * self(x)
        return x if limit is None else limit(x)


def project(nominal: Tensor, value: Tensor, slope: Tensor, alpha: float) -> Tensor:
    """The velocity next to `nominal` (B, dim) that lowers V as fast as alpha asks for, from V
    (B,) and its gradient (B, dim)."""
    norm = ((slope * slope).sum(-1) + LEAST_NORM**2).sqrt()
    normal = slope / norm[..., None]
    excess = torch.relu((normal * nominal).sum(-1) + alpha * value / norm)
    return nominal - excess[..., None] * normal


def _above(value: Tensor, bound: Tensor) -> Tensor:
    """What is no number is above any bound."""
    return ~(value <= bound)
