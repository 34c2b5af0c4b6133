"""Feature maps to points and back: where in the picture a map is high, and a spot around a point.

Sources: Finn et al. 2016 (arXiv 1509.06113, spatial softmax); Ichiwara et al. 2022 (arXiv
2103.01598, the spots around predicted points).

A point is (x, y) in 0 … 1: x from the left edge of a map to its right, y from top to bottom.
"""

import torch
from torch import Tensor, nn


class SpatialSoftmax(nn.Module):
    """`expected_places` as a layer."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, maps: Tensor) -> Tensor:
        return expected_places(maps, self.temperature)


def expected_places(maps: Tensor, temperature: float) -> Tensor:
    """The expected place of each map, with probabilities softmax(map / temperature): maps
    (N, K, h, w) to points (N, K, 2)."""
    share = torch.softmax(maps.flatten(2) / temperature, dim=2).unflatten(2, maps.shape[2:])
    height, width = (
        torch.linspace(0, 1, count, dtype=share.dtype, device=share.device)
        for count in maps.shape[2:]
    )
    return torch.stack((share.sum(2) @ width, share.sum(3) @ height), dim=2)


class Spots(nn.Module):
    """exp(-distance² / size) around each point."""

    x: Tensor
    y: Tensor

    def __init__(self, height: int, width: int, size: float) -> None:
        super().__init__()
        self.size = size
        y, x = _grid(height, width)
        self.register_buffer("x", x, persistent=False)
        self.register_buffer("y", y, persistent=False)

    def forward(self, points: Tensor) -> Tensor:
        """(N, K, 2) to (N, K, h, w), 1 at the points."""
        x, y = points[..., 0, None, None], points[..., 1, None, None]
        return torch.exp(-((self.x - x) ** 2 + (self.y - y) ** 2) / self.size)


def _grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """y and x (height, width) of all pixels."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return y.contiguous(), x.contiguous()
