"""BYOL as an objective: pictures of each camera, to features, without labels.

Two views of a picture (byol_views.py) are to tell each other; the one that is told is seen through
a slow copy of the network, which keeps features from becoming all alike. Sources: Grill et al. 2020
(arXiv 2006.07733), Pari et al. 2021 (VINN, arXiv 2112.01511).

What loss a BYOL has says little about its features: they are judged by whether the pictures that
they hold for alike were taken with the robot in like postures, in other episodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aloha_stack.policies.byol import NAME, SIGHT
from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.encoders import EncoderConfig
from aloha_stack.policies.policy import PolicyError, PolicySpec
from aloha_stack.policies.weights import load_weights
from aloha_stack.training.byol_network import Byol
from aloha_stack.training.byol_views import CHANCES, ViewRecipe, views
from aloha_stack.training.dataset import EpisodeDataset, Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.encoder_files import read_torchvision
from aloha_stack.training.objective import Network, Term, Terms
from aloha_stack.training.recipes import Recipe, RecipeError
from aloha_stack.training.rounding import round_parts
from aloha_stack.training.statistics import Statistics
from aloha_stack.training.store import EpisodeStore

LOSS: Mapping[str, Any] = {
    "decay": 0.99,  # of the target, a step
    "hidden": 4096,  # numbers in the middle of projector and predictor
    "projection": 256,
    "start": None,  # a file of torchvision's weights; null: at random
}
"""Keys of the recipe's `loss` beside those of the views, and their defaults."""

_VIEWS = (30, 31)  # purposes of draws
_LEAST_STD = 0.05
"""rad: of a joint that hardly moves."""


class ByolObjective:
    """An encoder for each camera of a store."""

    judged_by = "retrieval"
    losses_are = (
        "Training: the sum of 2 - 2 cos in both directions, mean over cameras. Validation: how far "
        "the robot's joints are from those of the picture, of another episode and within a batch, "
        "whose features are most alike, in standard deviations of each joint."
    )
    kept_clean: tuple[str, ...] = ()

    def __init__(
        self, recipe: Recipe, store: EpisodeStore, statistics: Mapping[str, Statistics]
    ) -> None:
        """Draws the start weights from torch's generator. Raises RecipeError."""
        names = [field.name for field in fields(ViewRecipe)]
        loss = {**LOSS, **{k: v for k, v in recipe.loss.items() if k not in names}}
        _check(loss, names)
        if not store.cameras:
            raise RecipeError("data.cameras: BYOL learns to see; name a camera at least")
        try:
            self.config = EncoderConfig.from_dict(recipe.network)
        except PolicyError as error:
            raise RecipeError(f"network.{error}") from error
        self._decay = float(loss["decay"])
        self._views = _views({k: v for k, v in recipe.loss.items() if k in names})
        first = store.episodes[0]
        self._sight = {name: getattr(store.settings, name) for name in SIGHT}
        self.spec = PolicySpec(
            policy=NAME,
            robot=first.robot,
            cameras=store.cameras,
            image_size=store.image_size,
            chunk=1,
            task=", ".join(sorted({episode.task for episode in store.episodes})),
            rate_hz=float(store.settings.alignment.step_hz),
            state_names=store.settings.state_names,
        )
        self._statistics = {name: part.as_dict() for name, part in statistics.items()}
        std = torch.as_tensor(statistics["state"].std, dtype=torch.float32)
        self._std = std.clamp(min=_LEAST_STD)
        self.module = Byol(store.cameras, self.config, loss["hidden"], loss["projection"])
        if loss["start"] is not None:
            self._start(Path(loss["start"]))
        self._rounded = round_parts(self.module)

    def dataset(self, store: EpisodeStore) -> EpisodeDataset:
        """Single steps."""
        return EpisodeDataset(store, chunk=1)

    def loss(self, network: Network, batch: Sample, draws: Draws) -> Terms:
        """How far the views are from telling each other; the target takes a step before."""
        self.module.update_target(self._decay)
        images = batch["images"].cpu().numpy()
        seen = []
        for purpose in _VIEWS:
            chance = draws.uniform(purpose, len(images), images.shape[1], CHANCES)
            made = torch.from_numpy(views(images, (chance + 1) / 2, self._views))
            seen.append(made.to(batch["images"].device).permute(0, 1, 4, 2, 3))
        found = network(*seen)
        return {"byol": Term(found.mean(), len(images))}

    def validate(self, network: Network, batch: Sample) -> Terms:
        """Of the nearest picture of another episode, the distance of its joints."""
        features = network(batch["images"].permute(0, 1, 4, 2, 3)).flatten(1).float()
        unlike = batch["episode"][:, None] != batch["episode"][None]
        apart = torch.cdist(features, features).masked_fill(~unlike, torch.inf)
        has = unlike.any(dim=1)
        state = batch["state"] / self._std.to(features.device)
        error = (state - state[apart.argmin(dim=1)]).abs().mean(dim=1)
        mean = error[has].mean() if has.any() else error.new_zeros(())
        return {"retrieval": Term(mean, has.sum())}

    def groups(self) -> Mapping[str, Sequence[str]]:
        """All that learns; the target only follows."""
        return {"main": [name for name, p in self.module.named_parameters() if p.requires_grad]}

    def rounded(self, name: str) -> bool:
        """The convolutions."""
        return name in self._rounded

    def checkpoint(self, weights: Mapping[str, Tensor]) -> Checkpoint:
        """The encoders alone."""
        used: dict[str, Tensor] = {}
        for camera in self.spec.cameras:
            start = f"online.{camera}.encoder."
            used |= {
                f"{camera}.{name.removeprefix(start)}": value
                for name, value in weights.items()
                if name.startswith(start)
            }
        config = {**self.config.as_dict(), **self._sight}
        return Checkpoint(self.spec, config, self._statistics, used)

    def _start(self, file: Path) -> None:
        try:
            weights = read_torchvision(file)
            for part in (self.module.online, self.module.target):
                for camera in self.spec.cameras:
                    load_weights(part[camera].encoder.backbone, weights)  # type: ignore[union-attr, arg-type]
        except PolicyError as error:
            raise RecipeError(f"loss.start: {error}") from error


def _check(loss: Mapping[str, Any], names: Sequence[str]) -> None:
    unknown = [key for key in loss if key not in LOSS]
    if unknown:
        known = ", ".join((*LOSS, *names))
        raise RecipeError(f"loss.{unknown[0]}: unknown; expected one of {known}")
    for key in ("hidden", "projection"):
        value = loss[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise RecipeError(f"loss.{key}: expected a whole number from 1, found {value!r}")
    decay = loss["decay"]
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < 1:
        raise RecipeError(f"loss.decay: expected a number of 0 … 1, found {decay!r}")
    if not isinstance(loss["start"], str | None):
        raise RecipeError(f"loss.start: expected a file, or null, found {loss['start']!r}")


def _views(data: Mapping[str, Any]) -> ViewRecipe:
    """Raises RecipeError."""
    plain = ViewRecipe()
    most = {"brightness": 0.99, "contrast": 0.99, "saturation": 0.99, "ratio": 100.0, "sigma": 20.0}
    for key, value in data.items():
        pair, top = isinstance(getattr(plain, key), tuple), most.get(key, 1.0)
        numbers = value if pair and isinstance(value, list | tuple) else (value,)
        fits = len(numbers) == (2 if pair else 1) and all(
            isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= top
            for one in numbers
        )
        if fits and pair:
            fits = 0 < numbers[0] <= numbers[1]
        if not fits:
            what = f"least and greatest, up to {top:g}" if pair else f"0 … {top:g}"
            raise RecipeError(f"loss.{key}: expected {what}, found {value!r}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return ViewRecipe(**values)
