"""A warp of space that leaves the goal where it is: smooth, with a smooth inverse.

Layers of affine coupling: half of the coordinates stay, and say how the others are stretched and
shifted,

    y_kept = x_kept,   y = x exp(s(x_kept)) + t(x_kept),   (tanh^-1 s, t) linear in tanh(W x + b)

then the halves change places. Whatever the weights, each layer can be inverted, and |s| < 1, so
that far away is far away. It begins as no warp at all. Its transposed derivative is the chain rule
written out, as in policies/input_convex.py.

Sources: Dinh, Sohl-Dickstein, Bengio 2017, "Density estimation using Real NVP" (arXiv 1605.08803);
Rana et al. 2020, "Euclideanizing flows" (arXiv 2005.13143), for stable motions that are learnt so.
"""

import torch
from torch import Tensor, nn

STEEP = 2.0
"""Of the start weights: tanh turns several times within the unit of length."""

Kept = tuple[Tensor, Tensor, Tensor, Tensor]
"""What `Coupling.back` needs of `forward`: what was moved, tanh of the layer, s, exp(s)."""


class Coupling(nn.Module):
    """Moves the first of the coordinates, or the last, by what the others are."""

    def __init__(self, dim: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.moved, self.first = (dim + 1) // 2 if first else dim // 2, first
        self.inner = nn.Linear(dim - self.moved, hidden)
        self.outer = nn.Linear(hidden, 2 * self.moved)
        nn.init.normal_(self.inner.weight, std=STEEP)
        nn.init.uniform_(self.inner.bias, -STEEP, STEEP)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Kept]:
        """y (..., dim), and what `back` needs."""
        moved, stays = self._parted(x)
        inner = self.inner(stays).tanh()
        outer = self.outer(inner)
        stretch = outer[..., : self.moved].tanh()
        factor = stretch.exp()
        y = moved * factor + outer[..., self.moved :]
        return self._joined(y, stays), (moved, inner, stretch, factor)

    def back(self, slope: Tensor, kept: Kept) -> Tensor:
        """The gradient (..., dim) at x of what has the gradient `slope` at y."""
        moved, inner, stretch, factor = kept
        of_y, of_stays = self._parted(slope)
        of_moved = of_y * factor
        of_outer = torch.cat([of_moved * moved * (1 - stretch * stretch), of_y], dim=-1)
        of_inner = (of_outer @ self.outer.weight) * (1 - inner * inner)
        return self._joined(of_moved, of_stays + of_inner @ self.inner.weight)

    def _parted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.first:
            return x[..., : self.moved], x[..., self.moved :]
        return x[..., -self.moved :], x[..., : -self.moved]

    def _joined(self, moved: Tensor, stays: Tensor) -> Tensor:
        return torch.cat([moved, stays] if self.first else [stays, moved], dim=-1)


class Warp(nn.Module):
    """Of `layers` couplings; of none, or in one dimension, it changes nothing."""

    def __init__(self, dim: int, layers: int, hidden: int = 32) -> None:
        super().__init__()
        count = layers if dim > 1 else 0
        self.layers = nn.ModuleList(
            Coupling(dim, hidden, number % 2 == 0) for number in range(count)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Kept]]:
        """The warped points (B, dim), 0 at 0, and what `back` needs."""
        if not self.layers:
            return x, []
        z, kept = torch.cat([x, torch.zeros_like(x[:1])]), []
        for layer in self.layers:
            z, one = layer(z)
            kept.append(one)
        return z[:-1] - z[-1:], kept

    def back(self, slope: Tensor, kept: list[Kept]) -> Tensor:
        """The gradient (B, dim) at x of what has the gradient `slope` at the warped points."""
        for layer, one in zip(reversed(list(self.layers)), reversed(kept), strict=True):
            assert isinstance(layer, Coupling)
            moved, inner, stretch, factor = one
            slope = layer.back(slope, (moved[:-1], inner[:-1], stretch[:-1], factor[:-1]))
        return slope
