"""Numbers and pictures in the units that a network likes: mean 0, spread 1.

Sources: tonyzhaozh/act (utils.py: z-scores, the floor of 0.01; policy.py: ImageNet's constants).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

STD_FLOOR = 0.01
"""A joint that hardly moved would blow its noise up to unit size."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green, blue in 0 … 1 (torchvision's; the published weights were trained with them)."""


class NormalisationError(ValueError):
    """Statistics that cannot be used."""


class Normaliser(nn.Module):
    """(x - mean) / std of n numbers, and back. Buffers; not among the weights of a checkpoint."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] | np.ndarray, std: Sequence[float] | np.ndarray):
        """Both (n,). Raises NormalisationError for numbers that are none, or a std not above 0."""
        super().__init__()
        means, stds = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        if means.ndim != 1 or means.shape != stds.shape or not len(means):
            raise NormalisationError(
                f"mean and std have to be lists of equal length, found {means.shape}, {stds.shape}"
            )
        if not np.isfinite(means).all() or not np.isfinite(stds).all() or not (stds > 0).all():
            raise NormalisationError(
                "mean and std have to be finite, and std above 0; found "
                f"mean {means.tolist()}, std {stds.tolist()}"
            )
        self.register_buffer("mean", torch.from_numpy(means.copy()), persistent=False)
        self.register_buffer("std", torch.from_numpy(stds.copy()), persistent=False)

    @staticmethod
    def of(statistics: Mapping[str, Any], names: Sequence[str], floor: float = 0.0) -> "Normaliser":
        """From {"mean", "std"[, "names"]}, as training/statistics.py writes them for JSON.

        `std` is raised to `floor`. Raises NormalisationError for other columns than `names`.
        """
        try:
            mean, std = np.asarray(statistics["mean"], float), np.asarray(statistics["std"], float)
        except (KeyError, TypeError, ValueError) as error:
            raise NormalisationError(f"no usable mean and std: {error!r}") from error
        found = statistics.get("names")
        alike = isinstance(found, list | tuple) and list(found) == list(names)
        if found is not None and not alike:
            raise NormalisationError(f"statistics of {found}, expected those of {list(names)}")
        if mean.shape != (len(names),) or std.shape != (len(names),):
            raise NormalisationError(
                f"statistics of {mean.shape} and {std.shape} numbers, expected {len(names)}"
            )
        return Normaliser(mean, np.maximum(std, floor))

    def forward(self, x: Tensor) -> Tensor:
        """(..., n) in units to (..., n) normalised."""
        return (x - self.mean) / self.std

    def inverse(self, x: Tensor) -> Tensor:
        """(..., n) normalised to (..., n) in units."""
        return x * self.std + self.mean

    def as_dict(self) -> dict[str, list[float]]:
        """For JSON."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}


class ImageNormaliser(nn.Module):
    """Pictures (B, C, 3, H, W) of C cameras to what a backbone takes, (B * C, 3, H, W)."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[Sequence[float]], std: Sequence[Sequence[float]]) -> None:
        """Both (C, 3), or (1, 3) for all cameras, of colours in 0 … 1."""
        super().__init__()
        means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        scale, shift = (
            torch.from_numpy(values.astype(np.float32))[..., None, None]
            for values in (1 / stds, -means / stds)
        )
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """uint8 in 0 … 255, or float in 0 … 1; the result is `dtype`, channels-last.

        Pictures that lie as (…, H, W, 3) in memory and are handed over as a permuted view are not
        copied: the conversion to `dtype` is the first pass over them.
        """
        most = 1.0 if images.is_floating_point() else 255.0
        scale, shift = (self.scale / most).to(dtype), self.shift.to(dtype)
        pictures = images.to(dtype)
        pictures = torch.addcmul(shift, pictures, scale).flatten(0, 1)
        return pictures.contiguous(memory_format=torch.channels_last)
