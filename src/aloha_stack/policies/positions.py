"""Position embeddings: fixed sines and cosines of where a token stands.

Sources: Vaswani et al. 2017 (arXiv 1706.03762) for sequences; Carion et al. 2020 (DETR, arXiv
2005.12872) for images, as tonyzhaozh/act (detr/models/position_encoding.py) uses it.
"""

import math

import torch
from torch import Tensor, nn

TEMPERATURE = 10000.0
_EPSILON = 1e-6  # DETR's; kept so that published weights give the same actions


def sine_positions(count: int, width: int) -> Tensor:
    """(count, width) float32 for tokens 0 … count - 1 of a sequence.

    Column 2i is sin(p / T^(2i / width)), column 2i + 1 the cosine of the same, T = 10000.
    """
    place = torch.arange(count, dtype=torch.float64)[:, None]
    return _waves(place, width).to(torch.float32)


def sine_grid(rows: int, columns: int, width: int) -> Tensor:
    """(rows * columns, width) float32 for the cells of an image's grid, row by row.

    The first half of the width encodes the row, the second the column, each counted from 1 and
    scaled so that the last is 2 pi. `width` has to be a multiple of 4.
    """
    half = width // 2
    row = torch.arange(1, rows + 1, dtype=torch.float32) / (rows + _EPSILON) * (2 * math.pi)
    column = torch.arange(1, columns + 1, dtype=torch.float32)
    column = column / (columns + _EPSILON) * (2 * math.pi)
    of_row = _waves(row[:, None], half)[:, None].expand(rows, columns, half)
    of_column = _waves(column[:, None], half)[None].expand(rows, columns, half)
    return torch.cat((of_row, of_column), dim=2).reshape(rows * columns, width)


def _waves(place: Tensor, width: int) -> Tensor:
    """(n, width): sine and cosine in turns; place (n, 1)."""
    column = torch.arange(width, dtype=place.dtype)
    angle = place / TEMPERATURE ** (2 * (column // 2) / width)
    return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)


class ImagePositions(nn.Module):
    """`sine_grid` of the grid in use, computed once for each size, type and device."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self._key: tuple[object, ...] = ()
        self._grid = torch.empty(0)

    def forward(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """(rows * columns, width) of `like`'s type, on its device."""
        key = (rows, columns, like.dtype, like.device)
        if key != self._key:
            with torch.inference_mode(False):  # else training could not use it afterwards
                grid = sine_grid(rows, columns, self.width)
                self._grid = grid.to(like.device, like.dtype)
            self._key = key
        return self._grid
