"""What a policy sees of its cameras' pictures: a part of each, or all of it, and all at one size.

What matters may be small: 10 px where the whole picture is shrunk to what a small network can take
in. A part that is cut out, for each camera its own, shows it larger at the same cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Size = tuple[int, int]
"""Height and width, px."""
Crop = tuple[int, int, int, int]
"""Top, left, height and width of a part of a picture, px."""
Crops = Crop | tuple[Crop, ...]
"""One for all cameras, or one for each in their order."""


@dataclass(frozen=True)
class Sight:
    """Of each camera's pictures a part, shrunk by area to `size` where it is larger."""

    parts: tuple[Crop, ...]
    size: Size

    @staticmethod
    def of(crop: Crops | None, seen: Size | None, cameras: int, picture: Size) -> "Sight":
        """For pictures of one size from `cameras` cameras; `seen` None: as large as the parts are.
        Raises ValueError for parts that lie outside, or that would have to be enlarged."""
        parts = crops_of(crop, cameras) or ((0, 0, *picture),) * cameras
        size = seen or parts[0][2:]
        for part in parts:
            top, left, height, width = part
            if top + height > picture[0] or left + width > picture[1]:
                raise ValueError(f"crop {part} lies outside pictures of {picture} px")
            if seen is None and part[2:] != size:
                raise ValueError("crops of different sizes: say by `seen` at which they are seen")
            if height < size[0] or width < size[1]:
                raise ValueError(f"crop {part} is smaller than {size}, at which it is to be seen")
        return Sight(parts, size)

    def see(self, camera: int, picture: np.ndarray) -> np.ndarray:
        """The part of a picture (height, width, 3) of the camera with that number: the same memory
        where it needs no shrinking."""
        top, left, height, width = self.parts[camera]
        part = picture[top : top + height, left : left + width]
        if (height, width) == self.size:
            return part
        return cv2.resize(part, self.size[::-1], interpolation=cv2.INTER_AREA)


def chosen(crop: Crops | None, seen: Size | None, cameras: int, picture: Size) -> Sight | None:
    """As Sight.of; None where nothing was said, so that pictures are taken as they are."""
    if crop is None and seen is None:
        return None
    return Sight.of(crop, seen, cameras, picture)


def crops_of(crop: Crops | None, cameras: int) -> tuple[Crop, ...] | None:
    """A crop for each camera. Raises ValueError for what is none."""
    if crop is None:
        return None
    each = crop if crop and isinstance(crop[0], tuple) else (crop,) * cameras
    if len(each) != cameras:
        raise ValueError(f"crop has parts for {len(each)} cameras; there are {cameras}")
    return tuple(_checked(one) for one in each)


def _checked(crop: object) -> Crop:
    whole = isinstance(crop, Sequence) and all(type(px) is int for px in crop)
    if not whole or len(crop) != 4 or min(crop[:2]) < 0 or min(crop[2:]) < 1:  # type: ignore
        raise ValueError(f"crop {crop}: expected top, left, height, width in px")
    return crop  # type: ignore[return-value]
