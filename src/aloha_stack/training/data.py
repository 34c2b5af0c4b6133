"""The episodes of a training: which may be learnt from, which validate, and what they say."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aloha_stack.episodes.alignment import AlignmentSettings
from aloha_stack.episodes.reader import Episode
from aloha_stack.training.cache import cached
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.recipes import DataRecipe, RecipeError
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.statistics import Statistics, statistics
from aloha_stack.training.store import (
    EpisodeStore,
    Progress,
    commanded,
    find_episodes,
    open_episodes,
    split_episodes,
)

EVALUATION_SEED = 1000
"""Seeds of the twin from here on are for evaluation: nothing is trained or chosen with them."""
SPLIT_SEED = 0
"""The same for all trainings, so that their validation losses can be compared."""
FAILURE = "failure"
"""The outcome of an episode that shows how not to do it."""
_NAMED = 5


@dataclass(frozen=True)
class TrainingData:
    """What is learnt from, what is validated with (None: nothing), and statistics of the former."""

    train: EpisodeStore
    validation: EpisodeStore | None
    statistics: Mapping[str, Statistics]
    left_out: int  # episodes that failed
    not_commanded: int  # episodes in which none of the wanted commanders has a step
    commanded: Mapping[str, int]  # recorded steps of the former by commander, chosen or not
    digest: str  # of all that is learnt from but pictures' bytes


def open_data(
    paths: Sequence[Path], recipe: DataRecipe, cache: Path | None, progress: Progress
) -> TrainingData:
    """Reads the episodes at `paths`, or in these folders; decoded pictures go to `cache`.

    Raises TrainingError, EpisodeError, RecipeError.
    """
    found = find_episodes(paths)
    good, failed = _usable(found)
    settings = read_settings(recipe)
    episodes = {one.path: one for one in open_episodes(good, settings, progress).episodes}
    train_paths, validation_paths = split_episodes(episodes, recipe.validation, SPLIT_SEED)
    train = EpisodeStore([episodes[path] for path in train_paths], settings)
    validation = None
    if validation_paths:
        validation = EpisodeStore([episodes[path] for path in validation_paths], settings)
    if cache is not None:
        train = cached(train, cache, progress)
        validation = cached(validation, cache, progress) if validation is not None else None
    return TrainingData(
        train,
        validation,
        statistics(train),
        left_out=len(failed),
        not_commanded=len(good) - len(episodes),
        commanded=commanded(train.episodes),
        digest=_digest([train, validation]),
    )


def read_settings(recipe: DataRecipe) -> ReadSettings:
    """The reader's, from a recipe. Raises RecipeError."""
    try:
        return ReadSettings(
            cameras=recipe.cameras,
            image_size=recipe.image_size,
            crop=recipe.crop,
            seen=recipe.seen,
            state=recipe.state,
            action=recipe.action,
            alignment=AlignmentSettings(step_hz=recipe.step_hz),
            allowed=recipe.allowed,
            commanders=recipe.commanders,
        )
    except ValueError as error:
        raise RecipeError(f"data: {error}") from error


def _usable(found: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Episodes to learn from, and those that failed. Refuses seeds that are for evaluation."""
    infos = {path: Episode(path).info for path in found}
    kept_apart = [f"{p} ({i.seed})" for p, i in infos.items() if i.seed >= EVALUATION_SEED]
    if kept_apart:
        more = f" and {len(kept_apart) - _NAMED} more" if len(kept_apart) > _NAMED else ""
        raise TrainingError(
            f"seeds from {EVALUATION_SEED} on are for evaluation, never for training: "
            f"{', '.join(kept_apart[:_NAMED])}{more}; leave these episodes out"
        )
    failed = [path for path, info in infos.items() if info.outcome == FAILURE]
    return [path for path in found if path not in set(failed)], failed


def _digest(stores: Sequence[EpisodeStore | None]) -> str:
    total = hashlib.sha256()
    for store in stores:
        for episode in store.episodes if store is not None else ():
            arrays = (episode.time_ns, episode.state, episode.action, episode.frame)
            for array in arrays:
                total.update(np.ascontiguousarray(array).tobytes())
            for camera in episode.cameras:
                total.update(camera.camera.encode() + camera.size.tobytes())
        total.update(b"|")
    return total.hexdigest()
