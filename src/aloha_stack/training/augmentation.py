"""Changes of a batch that a policy must not mind: small shifts, light, colours, noise.

Each sample gets its own, each camera too; the pictures of a sequence share theirs, but for noise.
Pictures are changed where they lie, as uint8, by OpenCV, which works while Python does other
things: on two cores this costs a few per cent of a training step.

What is *moved* (shifted, mirrored) shows another scene; what is *disturbed* (light, colours, a
black rectangle, noise) is the same scene seen badly. A network that predicts pictures gets the
disturbed ones and is to give those before: `kept_clean` keeps them.
"""

from collections.abc import Collection

import cv2
import numpy as np
import torch

from aloha_stack.training.dataset import Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.recipes import AugmentationRecipe
from aloha_stack.training.statistics import Statistics

GREY = np.array([0.299, 0.587, 0.114])
"""How bright red, green and blue look (ITU-R BT.601)."""

ERASED_SHARE, ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)
"""Of a black rectangle: part of the picture's area, and height by width (torchvision's
RandomErasing; Zhong et al. 2020, arXiv 1708.04896)."""

_PICTURES, _STATES, _NOISE, _RANGES, _SCENES = 1, 2, 3, 4, 5  # purposes of draws
_BANK = 4
"""A bank of noise has so many times the rows and columns of a picture; each takes a part."""
_STEP = np.array([0.7548776662, 0.5698402910])
"""From one picture of a sequence to the next, the part of the bank moves by so much of it: 1/p and
1/p², p the plastic number, which spread evenly (Roberts' R2 sequence)."""


class Augmentation:
    """Changes batches; what happens to a sample follows from the draws alone."""

    def __init__(
        self,
        recipe: AugmentationRecipe,
        state: Statistics,
        seed: int = 0,
        kept_clean: Collection[str] = (),
    ) -> None:
        """`state` gives the units of state_noise and range_noise. `kept_clean`: "images", "state",
        which then are in a batch once more, undisturbed, as "clean_images" and "clean_state"."""
        self.recipe, self._seed = recipe, seed
        self._kept_clean = tuple(kept_clean)
        self._state_std = np.asarray(state.std, np.float32)
        self._state_range = np.asarray(state.maximum - state.minimum, np.float32)
        self._bank = np.empty((0, 0, 3), np.int16)

    def __call__(self, batch: Sample, draws: Draws) -> Sample:
        """The batch, its pictures (B, [L,] cameras, H, W, 3) and states changed in place."""
        recipe = self.recipe
        if recipe.shift_px or recipe.flip:
            self._move(batch["images"].numpy(), draws)
        for name in self._kept_clean:
            batch[f"clean_{name}"] = batch[name].clone()
        for purpose, size, unit in (
            (_STATES, recipe.state_noise, self._state_std),
            (_RANGES, recipe.range_noise, self._state_range),
        ):
            if size:
                noise = draws.normal(purpose, *batch["state"].shape)
                batch["state"] += torch.from_numpy(size * unit * noise)
        if any(
            (recipe.brightness, recipe.contrast, recipe.saturation)
            + (recipe.hue, recipe.noise, recipe.erase)
        ):
            self._disturb(batch["images"].numpy(), draws)
        return batch

    def _move(self, images: np.ndarray, draws: Draws) -> None:
        """One warp, from the nearest pixel, the border repeated."""
        height, width = images.shape[-3:-1]
        shifts = np.round(self._chances(images, draws)[..., :2] * self.recipe.shift_px)
        mirrored = self.recipe.flip > (self._scenes(images, draws)[..., :2] + 1) / 2
        for shift, mirror, pictures in _with_pictures(images, shifts, mirrored):
            if not shift.any() and not mirror.any():
                continue
            move = np.zeros((2, 3))
            for axis, length in enumerate((width, height)):
                move[axis, axis] = -1.0 if mirror[axis] else 1.0
                move[axis, 2] = shift[axis] + (length - 1 if mirror[axis] else 0)
            border = cv2.BORDER_REPLICATE
            for picture in pictures:
                picture[...] = cv2.warpAffine(
                    picture, move, (width, height), flags=cv2.INTER_NEAREST, borderMode=border
                )

    def _disturb(self, images: np.ndarray, draws: Draws) -> None:
        recipe = self.recipe
        coloured = recipe.brightness or recipe.contrast or recipe.saturation or recipe.hue
        chances, scenes = self._chances(images, draws), self._scenes(images, draws)
        for chance, scene, pictures in _with_pictures(images, chances, scenes):
            colours = colour_matrix(recipe, np.array([*chance[2:5], scene[2]]))
            for number, picture in enumerate(pictures):
                if coloured:
                    cv2.transform(picture, colours, dst=picture)
                if recipe.noise:
                    place = ((chance[5:7] + 1) / 2 + number * _STEP) % 1.0
                    noise = self._noise(picture.shape[:2], place)
                    np.copyto(picture, cv2.add(picture, noise, dtype=cv2.CV_8U))
            if recipe.erase > (scene[3] + 1) / 2:
                rows, columns = erased(scene[4:8], images.shape[-3:-1])
                pictures[:, rows, columns] = 0

    def _chances(self, images: np.ndarray, draws: Draws) -> np.ndarray:
        return draws.uniform(_PICTURES, len(images), images.shape[-4], 7)

    def _scenes(self, images: np.ndarray, draws: Draws) -> np.ndarray:
        return draws.uniform(_SCENES, len(images), images.shape[-4], 8)

    def _noise(self, size: tuple[int, ...], place: np.ndarray) -> np.ndarray:
        """A part (H, W, 3) of the bank, at `place` (2,) in 0 … 1."""
        height, width = size
        if self._bank.shape[:2] != (_BANK * height, _BANK * width):
            rng = np.random.default_rng([self._seed, _NOISE])
            noise = rng.standard_normal((_BANK * height, _BANK * width, 3), np.float32)
            self._bank = np.round(self.recipe.noise * noise).astype(np.int16)
        rows, columns = (_BANK - 1) * height, (_BANK - 1) * width
        top, left = int(place[0] * rows), int(place[1] * columns)
        return self._bank[top : top + height, left : left + width]


def _with_pictures(
    images: np.ndarray, first: np.ndarray, second: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """What was drawn for each sample and camera, and its pictures (L or 1, H, W, 3), a view."""
    whole = images if images.ndim == 6 else images[:, None]
    return [
        (first[sample, camera], second[sample, camera], whole[sample, :, camera])
        for sample in range(len(images))
        for camera in range(images.shape[-4])
    ]


def erased(chance: np.ndarray, size: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a rectangle in a picture of `size` (height, width); chance (4,) in
    -1 … 1. One that would not fit is cut to the picture."""
    share, ratio, down, across = (chance + 1) / 2
    area = (ERASED_SHARE[0] + share * np.diff(ERASED_SHARE).item()) * size[0] * size[1]
    low, high = np.log(ERASED_RATIO)
    tall = np.exp((low + ratio * (high - low)) / 2)
    height = int(np.clip(np.sqrt(area) * tall, 1, size[0]))
    width = int(np.clip(np.sqrt(area) / tall, 1, size[1]))
    top, left = int(down * (size[0] - height)), int(across * (size[1] - width))
    return slice(top, top + height), slice(left, left + width)


def colour_matrix(recipe: AugmentationRecipe, chance: np.ndarray) -> np.ndarray:
    """(3, 4): RGB of 255 to RGB; brightness times, contrast about mid-grey, colours about grey,
    hue turned about the line of greys.

    chance (4,) in -1 … 1 says how much of each.
    """
    brightness, contrast, saturation = 1 + chance[:3] * (
        recipe.brightness,
        recipe.contrast,
        recipe.saturation,
    )
    colours = saturation * np.eye(3) + (1 - saturation) * GREY
    if recipe.hue:
        axis = np.full(3, 2 * np.pi * recipe.hue * chance[3] / np.sqrt(3))
        colours = cv2.Rodrigues(axis)[0] @ colours
    shift = np.full((3, 1), 127.5 * (1 - contrast))
    return np.hstack([brightness * contrast * colours, shift])
