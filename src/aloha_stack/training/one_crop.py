"""The one part of every camera's pictures that encoders see."""

from aloha_stack.training.recipes import RecipeError
from aloha_stack.training.store import EpisodeStore

Part = tuple[int, int, int, int]


def one_crop(store: EpisodeStore) -> Part | None:
    """Top, left, height, width in px; None: all. Raises RecipeError for pictures that are cut
    otherwise for each camera, or scaled once more after that."""
    crop: object = store.settings.crop
    if crop is not None and not (
        isinstance(crop, tuple) and len(crop) == 4 and all(isinstance(px, int) for px in crop)
    ):
        raise RecipeError(f"data.crop: expected one part for all cameras, found {crop!r}")
    height, width = store.image_size if crop is None else crop[2:]
    if store.cameras and store.picture_shape[1:3] != (height, width):
        raise RecipeError(
            f"data: pictures of {store.picture_shape[1:3]} px are made of parts of "
            f"{(height, width)}: encoders see parts as they are cut"
        )
    return crop
