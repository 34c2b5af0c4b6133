"""Changes of a batch that a policy must not mind: small shifts, light, colours, noise.

Each sample gets its own, each camera too; the pictures of a sequence share theirs. Pictures are
changed where they lie, as uint8, by OpenCV, which works while Python does other things: on two
cores this costs a few per cent of a training step.
"""

import cv2
import numpy as np
import torch

from aloha_stack.training.dataset import Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.recipes import AugmentationRecipe

GREY = np.array([0.299, 0.587, 0.114])
"""How bright red, green and blue look (ITU-R BT.601)."""

_PICTURES, _STATES, _NOISE = 1, 2, 3  # purposes of draws
_BANK = 4
"""A bank of noise has so many times the rows and columns of a picture; each takes a part."""


class Augmentation:
    """Changes batches; what happens to a sample follows from the draws alone."""

    def __init__(self, recipe: AugmentationRecipe, state_std: np.ndarray, seed: int = 0) -> None:
        """`state_std` (S,): the unit of the recipe's state_noise."""
        self.recipe, self._seed = recipe, seed
        self._state_std = np.asarray(state_std, np.float32)
        self._bank = np.empty((0, 0, 3), np.int16)

    def __call__(self, batch: Sample, draws: Draws) -> Sample:
        """The batch, its pictures (B, [L,] cameras, H, W, 3) and states changed in place."""
        recipe = self.recipe
        if recipe.state_noise:
            noise = draws.normal(_STATES, *batch["state"].shape)
            batch["state"] += torch.from_numpy(recipe.state_noise * self._state_std * noise)
        if any(
            (recipe.shift_px, recipe.brightness, recipe.contrast, recipe.saturation, recipe.noise)
        ):
            self._change(batch["images"].numpy(), draws)
        return batch

    def _change(self, images: np.ndarray, draws: Draws) -> None:
        cameras = images.shape[-4]
        chances = draws.uniform(_PICTURES, len(images), cameras, 7)
        for sample, chance in zip(images, chances, strict=True):
            for camera in range(cameras):
                pictures = sample[..., camera, :, :, :]
                for picture in pictures.reshape(-1, *pictures.shape[-3:]):
                    self._change_one(picture, chance[camera])

    def _change_one(self, picture: np.ndarray, chance: np.ndarray) -> None:
        recipe = self.recipe
        if recipe.shift_px:
            across, down = np.round(chance[:2] * recipe.shift_px)
            if across or down:
                move = np.array([[1.0, 0.0, across], [0.0, 1.0, down]])
                size = picture.shape[1::-1]
                border = cv2.BORDER_REPLICATE
                picture[...] = cv2.warpAffine(
                    picture, move, size, flags=cv2.INTER_NEAREST, borderMode=border
                )
        if recipe.brightness or recipe.contrast or recipe.saturation:
            cv2.transform(picture, colour_matrix(recipe, chance[2:5]), dst=picture)
        if recipe.noise:
            noise = self._noise(picture.shape[:2], chance[5:7])
            np.copyto(picture, cv2.add(picture, noise, dtype=cv2.CV_8U))

    def _noise(self, size: tuple[int, ...], chance: np.ndarray) -> np.ndarray:
        """A part (H, W, 3) of the bank, at a place of chance's own."""
        height, width = size
        if self._bank.shape[:2] != (_BANK * height, _BANK * width):
            rng = np.random.default_rng([self._seed, _NOISE])
            noise = rng.standard_normal((_BANK * height, _BANK * width, 3), np.float32)
            self._bank = np.round(self.recipe.noise * noise).astype(np.int16)
        rows, columns = (_BANK - 1) * height, (_BANK - 1) * width
        top, left = int((chance[0] + 1) / 2 * rows), int((chance[1] + 1) / 2 * columns)
        return self._bank[top : top + height, left : left + width]


def colour_matrix(recipe: AugmentationRecipe, chance: np.ndarray) -> np.ndarray:
    """(3, 4): RGB of 255 to RGB; brightness times, contrast about mid-grey, colours about grey.

    chance (3,) in -1 … 1 says how much of each.
    """
    brightness, contrast, saturation = 1 + chance * (
        recipe.brightness,
        recipe.contrast,
        recipe.saturation,
    )
    colours = saturation * np.eye(3) + (1 - saturation) * GREY
    shift = np.full((3, 1), 127.5 * (1 - contrast))
    return np.hstack([brightness * contrast * colours, shift])
