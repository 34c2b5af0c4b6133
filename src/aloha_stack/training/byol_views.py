"""The two views of a picture that BYOL compares: each picture is cropped and coloured on its own.

Published for VINN (arXiv 2112.01511): a crop of 0.6 … 1 of the area, its shape changed by 3/4 … 4/3
(torchvision's default) and resized; with a chance of 0.3 brightness, contrast and saturation by
0.8, hue by 0.2; grey with 0.2; a 3x3 blur of σ 1 … 2 with 0.2. Nothing is mirrored, for left and
right are not alike to a robot.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from aloha_stack.training.augmentation import GREY, colour_matrix
from aloha_stack.training.recipes import AugmentationRecipe

CHANCES = 12
"""Numbers that a view is drawn with."""
_GREY = np.hstack([np.tile(GREY, (3, 1)), np.zeros((3, 1))])


@dataclass(frozen=True)
class ViewRecipe:
    """How different two views are."""

    area: tuple[float, float] = (0.6, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    jitter: float = 0.3  # chance
    brightness: float = 0.8
    contrast: float = 0.8
    saturation: float = 0.8
    hue: float = 0.2
    grey: float = 0.2  # chance
    blur: float = 0.2  # chance
    sigma: tuple[float, float] = (1.0, 2.0)  # px


def views(images: np.ndarray, chance: np.ndarray, recipe: ViewRecipe) -> np.ndarray:
    """Pictures (B, C, H, W, 3) uint8 as others; chance (B, C, CHANCES) in 0 … 1."""
    seen = np.empty_like(images)
    for place in np.ndindex(images.shape[:2]):
        seen[place] = view(images[place], chance[place], recipe)
    return seen


def view(picture: np.ndarray, chance: np.ndarray, recipe: ViewRecipe) -> np.ndarray:
    """One picture (H, W, 3)."""
    height, width = picture.shape[:2]
    left, top, part_width, part_height = crop(chance[:4], (height, width), recipe)
    scale = np.array([part_width / width, part_height / height])
    shift = np.array([left, top]) + scale / 2 - 0.5  # middles of pixels, not their corners
    seen = cv2.warpAffine(
        picture,
        np.column_stack([np.diag(scale), shift]),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if chance[4] < recipe.jitter:
        strength = AugmentationRecipe(
            brightness=recipe.brightness,
            contrast=recipe.contrast,
            saturation=recipe.saturation,
            hue=recipe.hue,
        )
        seen = cv2.transform(seen, colour_matrix(strength, 2 * chance[5:9] - 1))
    if chance[9] < recipe.grey:
        seen = cv2.transform(seen, _GREY)
    if chance[10] < recipe.blur:
        low, high = recipe.sigma
        seen = cv2.GaussianBlur(seen, (3, 3), low + chance[11] * (high - low))
    return seen


def crop(
    chance: np.ndarray, size: tuple[int, int], recipe: ViewRecipe
) -> tuple[float, float, float, float]:
    """Left, top, width, height in px of a part of a picture of `size` (height, width); chance (4,):
    its area, shape and place. A shape that does not fit is cut to the picture."""
    height, width = size
    area = (recipe.area[0] + chance[0] * (recipe.area[1] - recipe.area[0])) * height * width
    low, high = np.log(recipe.ratio)
    ratio = np.exp(low + chance[1] * (high - low))
    part_width = min(float(np.sqrt(area * ratio)), width)
    part_height = min(float(np.sqrt(area / ratio)), height)
    left, top = chance[2] * (width - part_width), chance[3] * (height - part_height)
    return float(left), float(top), part_width, part_height
