"""A Lyapunov function with its minimum at the goal, whatever its weights.

g is convex (policies/input_convex.py), x = 0 is the goal. Two ways to make a V of it:

    tangent   V(x) = g(x) - g(0) - g'(0)·x + eps |x|²       what g rises above its tangent at 0
    clamp     V(x) = R(g(x) - g(0)) + eps |x|²              R smooth, 0 for r <= 0 (Manek & Kolter)

Both are positive definite (a convex g lies above its tangent; R is never negative), have their only
minimum V(0) = 0 at the goal, are radially unbounded (eps |x|²), smooth and strongly convex, so

    V'(x)·x >= V(x) + eps |x|² > 0,   |V'(x)| >= 2 eps |x|      no other stationary point     (1)
    V(k x) <= k V(x)   for 0 <= k <= 1                          a way to the goal lowers V    (2)

Clamped, V is round wherever g lies below g(0), which is half of the space at least near the goal;
by the tangent its level sets are shaped all around. Without either (as in the code released with
the SNDS paper) V has no minimum at the goal, and its "decrease" leads anywhere.

No convex V falls along an S: its level sets are convex, and the S leaves them and comes back. So
space may be warped before (policies/warp.py, w(0) = 0): V(w(x)). It still has no minimum but that
at the goal, as w can be inverted, and is still radially unbounded; convex in x, and with it (2), it
no longer is.

Sources: Manek & Kolter 2019, "Learning stable deep dynamics models" (arXiv 2001.06116), for the
clamp and for warping; Bregman 1967 for the tangent form.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aloha_stack.policies.input_convex import InputConvex
from aloha_stack.policies.warp import Kept, Warp

TANGENT, CLAMP = "tangent", "clamp"
ANCHORS = (TANGENT, CLAMP)
ROUNDING = 0.1
"""d of R(r) = r²/2d up to d, r - d/2 above: Manek & Kolter's."""


class Lyapunov(nn.Module):
    """V of states (B, dim)."""

    def __init__(
        self,
        dim: int,
        hidden: Sequence[int],
        epsilon: float,
        anchor: str = TANGENT,
        warps: int = 0,
    ) -> None:
        super().__init__()
        self.warp = Warp(dim, warps)
        self.convex = InputConvex(dim, hidden)
        self.epsilon, self.anchor = epsilon, anchor

    def forward(self, x: Tensor) -> Tensor:
        """V (B,)."""
        return self._warped(x)[0]

    def value_and_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """V (B,) and its gradient (B, dim)."""
        value, slope, kept = self._warped(x)
        return value, self.warp.back(slope, kept)

    def _warped(self, x: Tensor) -> tuple[Tensor, Tensor, list[Kept]]:
        """V, its gradient at the warped points, and what leads from there back to x."""
        z, kept = self.warp(x)
        value, slope = self.convex.value_and_slope(torch.cat([z, torch.zeros_like(z[:1])]))
        value, slope = self._anchored(z, value[:-1] - value[-1], slope[:-1], slope[-1])
        return value + self.epsilon * (z * z).sum(-1), slope + 2 * self.epsilon * z, kept

    def _anchored(
        self, x: Tensor, rise: Tensor, slope: Tensor, at_goal: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The part of g, from what g rises above g(0)."""
        if self.anchor == TANGENT:
            # The maximum with 0 changes nothing but differences that rounding leaves below it.
            return (rise - x @ at_goal).clamp(min=0), slope - at_goal
        near = rise.clamp(0, ROUNDING)
        value = near * near / (2 * ROUNDING) + (rise - ROUNDING).clamp(min=0)
        return value, (near / ROUNDING)[..., None] * slope
