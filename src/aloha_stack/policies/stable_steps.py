"""A stable flow in a control loop: steps that lower V as surely as the flow itself does.

A control loop moves in steps of h, not continuously. With the flow f and its V, which falls along
it at least at the rate alpha (policies/stable_dynamics.py), `Steps.step` keeps

    V(step(x)) <= exp(-alpha h / 2) V(x)                                                     (3)

It integrates with forward Euler, in 1, 2, 4, 8 sub-steps until (3) holds at what the limits leave
of the result. If it does not even then, the point is drawn towards the goal by as much as it takes.
Of a V that is convex (2) of lyapunov.py tells without a search how much that is:
V(k x) <= exp(-alpha h / 2) V(x) for k = exp(-alpha h / 2) V(x) / V(x'). Of one that is warped it is
the least of PARTS parts of the way with which (3) holds, which at its end, in the goal, it does.
The limits are a convex set around the goal, so that drawing leaves none of them: both guarantees
hold at once, for any weights. A point nearer than ARRIVED is at the goal: there rounding would hide
what V does.

Source: Lawrence et al. 2020, "Almost surely stable deep dynamics" (arXiv 2103.14722) for drawing
towards the minimum of a convex V.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

MOST_SUBSTEPS = 8
PARTS = 64
"""Of the way to the goal, in which a point is drawn there."""
ARRIVED = 1e-4
"""Distance from the goal, in the network's unit, that is none."""
WARM_UP = 3
"""Calls after which a traced function is as fast as it gets."""

Limit = Callable[[Tensor], Tensor]
"""Maps points (B, dim) into the limits, a convex set with the goal inside it."""


@dataclass(frozen=True)
class Steps:
    """Of states (B, dim), relative to the goal."""

    flow_and_value: Callable[[Tensor], tuple[Tensor, Tensor]]
    """f (B, dim) and V (B,)."""
    value: Callable[[Tensor], Tensor]
    """V (B,)."""
    alpha: float

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
        value = self.value(reached)
        parts = 2
        while parts <= MOST_SUBSTEPS and bool((high := _above(value, bound)).any()):
            again = self._euler(x[high], time, parts, limit)
            reached[high], value[high] = again, self.value(again)
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
        factor = (bound / self.value(x)).clamp(max=1)
        for part in range(PARTS + 1):
            high = _above(self.value(factor[:, None] * x), bound)
            if not bool(high.any()):
                break
            factor = torch.where(high, torch.full_like(factor, 1 - part / PARTS), factor)
        return factor

    def _euler(self, x: Tensor, time: float, parts: int, limit: Limit | None) -> Tensor:
        for _ in range(parts):
            x = x + time / parts * self.flow_and_value(x)[0]
        return x if limit is None else limit(x)


def traced(function: Callable[[Tensor], Any], network: nn.Module, dim: int) -> Callable[..., Any]:
    """The same `function` of states (B, dim), with the weights of its `network` as constants.

    torch keeps the list of its operations: without Python between them, and without those that
    constants or unused results are made with. A single state takes a third of the time. How the
    operations go on must not depend on the states. The network is in eval mode.

    torch.jit is deprecated for torch.compile, which needs a compiler where the arms are; without it
    the function is given back as it is.
    """
    if not hasattr(torch.jit, "trace"):
        return function
    kind = next(network.parameters())
    state = torch.ones(1, dim, dtype=kind.dtype, device=kind.device)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = torch.jit.freeze(torch.jit.trace(_Function(function, network).eval(), state))
    with torch.inference_mode():
        for _ in range(WARM_UP):
            made(state)
    return made  # type: ignore[no-any-return]


class _Function(nn.Module):
    """A function of a network as a module, which is what torch freezes."""

    def __init__(self, function: Callable[[Tensor], Any], network: nn.Module) -> None:
        super().__init__()
        self.network, self._function = network, function

    def forward(self, x: Tensor) -> Any:
        return self._function(x)


def _above(value: Tensor, bound: Tensor) -> Tensor:
    """What is no number is above any bound."""
    return ~(value <= bound)
