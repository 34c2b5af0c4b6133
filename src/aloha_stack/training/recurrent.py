"""Recurrent policies as an objective: back-propagation through time over whole episodes.

In each step the network sees what is disturbed (augmentation.py) and is to tell the joints, and
where it can the picture, of the next step as they are undisturbed; padding counts for nothing.
Sources: ogata-lab/eipl 1.1.1 (losses, weights, the s-curve) and Ichiwara et al. 2022 (arXiv
2103.01598, points of attention).

Joints in and out share one range (policies/min_max.py), from the least to the greatest number that
training episodes have in either. What is to be told (`loss.target`, `loss.ahead`):

- "executed": the command that belongs to the step `ahead` later, while the joints that go in are
  measured. With ahead 1 this is row 1 of a chunk, and the default: followers run behind their
  commands by several ticks, so that at 50 Hz a robot that is sent the next *measured* joints moves
  ever more slowly, and a gripper that is sent where fingers were stopped by an object never holds
  it. Commands contain the lead and the squeeze.
- "measured": the joints themselves, `ahead` steps later, as published; at 10 Hz, where the
  followers have caught up within a step, and without a grip to hold, that is enough.
"""

from collections.abc import Mapping, Sequence
from math import pi, sin
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aloha_stack.episodes.joint_numbers import NAMES
from aloha_stack.policies.cae_rnn import CaeRnn
from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.cnnrnn import CnnRnn
from aloha_stack.policies.min_max import min_max
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.recurrent import Predicted, as_input
from aloha_stack.policies.recurrent_networks import network_of
from aloha_stack.policies.weights import load_weights
from aloha_stack.training.dataset import Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.objective import Network, Term, Terms
from aloha_stack.training.recipes import Recipe, RecipeError
from aloha_stack.training.recurrent_parts import (
    ENCODER_FROM,
    autoencoder_weights,
    feature_bounds,
    joint_bounds,
    joint_columns,
    network_config,
    recurrent_spec,
)
from aloha_stack.training.rounding import round_parts
from aloha_stack.training.sequences import SequenceDataset
from aloha_stack.training.statistics import Statistics
from aloha_stack.training.store import EpisodeStore

EXECUTED, MEASURED = "executed", "measured"
LOSS: Mapping[str, Any] = {
    "target": EXECUTED,
    "ahead": 1,  # steps
    "least_range": 0.05,  # rad, or of a gripper's way: jitter of a joint at rest stays small
    "joint": 1.0,  # weights of the parts of the loss
    "image": 1.0,
    "image_every": 1,  # steps from one that tells a picture to the next
    "look_every": 1,  # steps from one that sees a picture to the next; those between see it, too
    "feature": 1.0,
    "points": 0.1,
    "points_epochs": 1000,  # until points have their full weight
}
"""Keys of the recipe's `loss`, and their defaults."""

STARTED = ("cnnrnn", "cae_rnn")
"""Policies that an auto-encoder may start."""
_FIRST_IMAGE, _FIRST_LOOK = 20, 21  # purposes of draws


class RecurrentObjective:
    """A network for one camera and one or two arms of a store."""

    judged_by = "joint"
    losses_are = (
        "Losses are mean squared errors, of joints in units of each one's range, of colours in "
        "0 … 1; that of training has all its terms, weighted, and its inputs are disturbed."
    )

    def __init__(
        self, recipe: Recipe, store: EpisodeStore, statistics: Mapping[str, Statistics]
    ) -> None:
        """Draws the start weights from torch's generator. Raises RecipeError, EpisodeError."""
        self._loss = {**LOSS, **recipe.loss}
        _check_loss(self._loss)
        self._batch = recipe.training.batch
        self.config = network_config(recipe, store)
        columns = joint_columns(self.config)
        self._columns = torch.tensor(columns)
        self.spec = recurrent_spec(recipe.policy, store)
        self._statistics = {
            **{name: part.as_dict() for name, part in statistics.items()},
            "joints": joint_bounds(statistics, columns, self._loss["least_range"]),
        }
        names = [NAMES[column] for column in columns]
        self.joints = min_max(self._statistics["joints"], names, self.config.value_range)
        self.module = network_of(recipe.policy, self.config)
        self._start(recipe, store)
        self._with_image = bool(self.module.predicts_image and self._loss["image"])
        self.kept_clean: tuple[str, ...] = (
            *(("images",) if self._with_image else ()),
            *(("state",) if self._loss["target"] == MEASURED else ()),
        )
        self._rounded = round_parts(self.module)
        self._episodes = len(self.dataset(store))

    def dataset(self, store: EpisodeStore) -> SequenceDataset:
        """Whole episodes; of one with pauses, what lies between them."""
        return SequenceDataset(store, least=self._loss["ahead"] + 1)

    def loss(self, network: Network, batch: Sample, draws: Draws) -> Terms:
        """Of the next joints, picture, feature and points, as far as the network tells them."""
        epoch = draws.step * self._batch / self._episodes
        shown = s_curve(epoch / self._loss["points_epochs"])
        every, look_every = self._loss["image_every"], self._loss["look_every"]
        told = slice(_first(draws, _FIRST_IMAGE, every), None, every)
        seen = slice(_first(draws, _FIRST_LOOK, look_every), None, look_every)
        return self._terms(network, batch, shown, told, seen)

    def validate(self, network: Network, batch: Sample) -> Terms:
        """The same of undisturbed inputs, points with their full weight."""
        return self._terms(network, batch, 1.0, slice(0, None, self._loss["image_every"]))

    def groups(self) -> Mapping[str, Sequence[str]]:
        """All that a gradient may move."""
        return {"main": [name for name, p in self.module.named_parameters() if p.requires_grad]}

    def rounded(self, name: str) -> bool:
        """The convolutions where it does no harm."""
        return name in self._rounded

    def checkpoint(self, weights: Mapping[str, Tensor]) -> Checkpoint:
        """With the bounds of joints as they were used."""
        return Checkpoint(self.spec, self.config.as_dict(), self._statistics, weights)

    def _terms(
        self,
        network: Network,
        batch: Sample,
        shown: float,
        image_steps: slice,
        look_steps: slice = slice(None),
    ) -> Terms:
        """`shown`: how much of their weight points have; `look_steps`: whose pictures are seen, and
        the first one's."""
        ahead, weights = self._loss["ahead"], self._loss
        images, clean = batch["images"], batch.get("clean_images", batch["images"])
        steps = images.shape[1] - ahead
        pictures, looks = _looks(steps, look_steps)
        predicted, _ = network(
            as_input(images[:, pictures, 0], self.config),
            self._normalised(batch["state"][:, :steps]),
            with_image=self._with_image,
            image_steps=image_steps,
            looks=looks,
        )
        wanted = self._wanted(batch)[:, ahead:]
        valid = ~batch["is_pad"][:, ahead:]
        terms = {"joint": _error(predicted.joints, wanted, valid, weights["joint"])}
        # Pictures, points and features are always those of the very next step.
        seen_next = ~batch["is_pad"][:, 1 : steps + 1]
        if predicted.image is not None:
            picture = as_input(clean[:, 1 : steps + 1, 0][:, image_steps], self.config)
            told_of = seen_next[:, image_steps]
            terms["image"] = _error(predicted.image, picture, told_of, weights["image"])
        return terms | _inner_terms(predicted, seen_next[:, 1:], weights, shown)

    def _normalised(self, numbers: Tensor) -> Tensor:
        """(B, T, 14) of the robot to (B, T, J) of the network."""
        device = numbers.device
        self.joints, self._columns = self.joints.to(device), self._columns.to(device)
        chosen: Tensor = self.joints(numbers[..., self._columns])
        return chosen

    def _wanted(self, batch: Sample) -> Tensor:
        """(B, T, J): at each step what the joints should be told to be then."""
        if self._loss["target"] == EXECUTED:
            return self._normalised(batch["action"])
        return self._normalised(batch.get("clean_state", batch["state"]))

    def _start(self, recipe: Recipe, store: EpisodeStore) -> None:
        """Weights of a trained auto-encoder, where the recipe names one."""
        source = recipe.network.get(ENCODER_FROM)
        if source is None:
            if recipe.policy == "cae_rnn":
                raise RecipeError(
                    f"network.{ENCODER_FROM}: cae_rnn needs an auto-encoder; `./aloha train cae` "
                    f"makes one, --set network.{ENCODER_FROM}=FOLDER names it"
                )
            return
        if recipe.policy not in STARTED:
            raise RecipeError(
                f"network.{ENCODER_FROM}: an auto-encoder starts {' or '.join(STARTED)}, not "
                f"{recipe.policy}"
            )
        try:
            weights = autoencoder_weights(Path(source), self.config)
            if isinstance(self.module, CaeRnn):
                load_weights(self.module.autoencoder, weights)
            elif isinstance(self.module, CnnRnn):
                self.module.start_from(weights)
        except PolicyError as error:
            raise RecipeError(f"network.{ENCODER_FROM}: {source}: {error}") from error
        if isinstance(self.module, CaeRnn):
            self.module.feature_bounds.copy_(feature_bounds(self.module, store))


def _first(draws: Draws, purpose: int, every: int) -> int:
    """A step to begin with, one of the first `every`."""
    return int((draws.uniform(purpose, 1).item() + 1) / 2 * every) % every


def _looks(steps: int, look_steps: slice) -> tuple[Tensor, Tensor | None]:
    """Which of the steps' pictures are seen (P,), and the number among them of the one that each
    step sees (steps,): the last one until then.

    Neighbours look alike at 50 Hz, and most of the work is in pictures: looking at every fifth
    makes a training step a few times as quick. Nothing of the future is seen.
    """
    seen = torch.zeros(steps, dtype=torch.bool)
    seen[look_steps] = True
    seen[0] = True
    return seen.nonzero()[:, 0], None if seen.all() else seen.cumsum(0) - 1


def _error(predicted: Tensor, wanted: Tensor, valid: Tensor, weight: float) -> Term:
    """Mean squared error of (B, T, …) over the steps that are `valid` (B, T)."""
    of_step = (predicted.float() - wanted).square().flatten(2).mean(dim=2)
    count = valid.sum()
    return Term((of_step * valid).sum() / count.clamp(min=1), count, weight)


def _inner_terms(
    predicted: Predicted, valid: Tensor, weights: Mapping[str, Any], shown: float
) -> dict[str, Term]:
    """What was predicted of points and features against what is seen a step later; `valid` (B,
    T - 1): whether that is a step of the network, T of them, and not the episode's last."""
    terms = {}
    for name, told, seen, share in (
        ("points", predicted.points, predicted.encoded_points, shown),
        ("feature", predicted.feature, predicted.encoded_feature, 1.0),
    ):
        if told is not None and seen is not None:
            terms[name] = _error(told[:, :-1], seen[:, 1:], valid, share * weights[name])
    return terms


def s_curve(share: float) -> float:
    """From 0 at 0 to 1 at 1, flat at both ends: t - sin(2πt) / 2π.

    It counts epochs: in eipl a counter goes on with every minibatch, training's and test's, so that
    the published 1000 epochs were some 250 in truth.
    """
    t = min(max(share, 0.0), 1.0)
    return t - sin(2 * pi * t) / (2 * pi)


def _check_loss(loss: Mapping[str, Any]) -> None:
    unknown = [key for key in loss if key not in LOSS]
    if unknown:
        raise RecipeError(f"loss.{unknown[0]}: unknown; expected one of {', '.join(LOSS)}")
    if loss["target"] not in (EXECUTED, MEASURED):
        raise RecipeError(
            f"loss.target: expected {EXECUTED} or {MEASURED}, found {loss['target']!r}"
        )
    for key in ("ahead", "image_every", "look_every", "points_epochs"):
        value = loss[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise RecipeError(f"loss.{key}: expected a whole number from 1, found {value!r}")
    for key in ("least_range", "joint", "image", "feature", "points"):
        value = loss[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise RecipeError(f"loss.{key}: expected a number from 0, found {value!r}")
    if not loss["joint"]:
        raise RecipeError("loss.joint: expected a number above 0, for joints are what is learnt")
