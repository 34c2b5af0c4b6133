"""Weights that depend on their names only, so that a network elsewhere can be given the same.

numpy's RandomState gives the same numbers in every version (NEP 19). The scales are such that
signals neither vanish nor blow up, and no part of a network can be left out unnoticed.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np


def seeded(name: str, shape: Sequence[int]) -> np.ndarray:
    """float32 of this shape."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    noise = np.random.RandomState(seed).standard_normal(tuple(shape)).astype(np.float32)
    if name.endswith("running_var"):
        return 1 + 0.3 * np.abs(noise)
    if len(shape) >= 2:
        fan_in = int(np.prod(shape[1:]))
        return noise * np.float32((2 / fan_in) ** 0.5)
    is_scale = name.endswith("weight")
    return (1 if is_scale else 0) + np.float32(0.1) * noise


def seeded_all(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """An array for each name."""
    return {name: seeded(name, shape) for name, shape in shapes.items()}


def pictures(count: int, height: int, width: int) -> np.ndarray:
    """(count, height, width, 3) uint8: noise, scaled up so that it has areas."""
    small = np.random.RandomState(0).randint(0, 256, (count, height // 8, width // 8, 3), np.uint8)
    return small.repeat(8, axis=1).repeat(8, axis=2)
