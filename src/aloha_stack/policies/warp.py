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
    """Moves `moved` coordinates by what the `stays` others are."""

    def __init__(self, moved: int, stays: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(stays, hidden)
        self.outer = nn.Linear(hidden, 2 * moved)
        nn.init.normal_(self.inner.weight, std=STEEP)
        nn.init.uniform_(self.inner.bias, -STEEP, STEEP)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, moved: Tensor, stays: Tensor) -> tuple[Tensor, Kept]:
        """Where (..., moved) they are moved, and what `back` needs."""
        inner = self.inner(stays).tanh()
        stretch, shift = self.outer(inner).chunk(2, dim=-1)
        stretch = stretch.tanh()
        factor = stretch.exp()
        return moved * factor + shift, (moved, inner, stretch, factor)

    def back(self, slope: Tensor, kept: Kept) -> tuple[Tensor, Tensor]:
        """From the gradient (..., moved) at where they are moved: those at what was moved, and what
        it adds to that at what stays."""
        moved, inner, stretch, factor = kept
        of_moved = slope * factor
        of_outer = torch.cat([of_moved * moved * (1 - stretch * stretch), slope], dim=-1)
        of_inner = (of_outer @ self.outer.weight) * (1 - inner * inner)
        return of_moved, of_inner @ self.inner.weight


class Warp(nn.Module):
    """Of `layers` couplings; of none, or in one dimension, it changes nothing."""

    def __init__(self, dim: int, layers: int, hidden: int = 32) -> None:
        super().__init__()
        self._first = (dim + 1) // 2
        sizes = (self._first, dim - self._first)
        count = layers if dim > 1 else 0
        self.layers = nn.ModuleList(
            Coupling(sizes[number % 2], sizes[1 - number % 2], hidden) for number in range(count)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Kept]]:
        """The warped points (B, dim), 0 at 0, and what `back` needs."""
        if not self.layers:
            return x, []
        kept = []
        moved, stays = self._halves(torch.cat([x, torch.zeros_like(x[:1])]))
        for layer in self.layers:
            moved, one = layer(moved, stays)
            kept.append(one)
            moved, stays = stays, moved
        z = self._whole(moved, stays)
        return z[:-1] - z[-1:], kept

    def back(self, slope: Tensor, kept: list[Kept]) -> Tensor:
        """The gradient (B, dim) at x of what has the gradient `slope` at the warped points."""
        if not kept:
            return slope
        # A row more, as in `forward`: that of the goal, of which nothing depends here.
        moved, stays = self._halves(torch.cat([slope, torch.zeros_like(slope[:1])]))
        if len(kept) % 2:
            moved, stays = stays, moved
        for layer, one in zip(reversed(list(self.layers)), reversed(kept), strict=True):
            assert isinstance(layer, Coupling)
            moved, stays = stays, moved
            moved, more = layer.back(moved, one)
            stays = stays + more
        return torch.cat([moved, stays], dim=-1)[:-1]

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[..., : self._first], x[..., self._first :]

    def _whole(self, moved: Tensor, stays: Tensor) -> Tensor:
        """From what the next layer would move, and what would stay."""
        parts = [moved, stays] if len(self.layers) % 2 == 0 else [stays, moved]
        return torch.cat(parts, dim=-1)
