"""ACT as an objective: the CVAE's loss on chunks of demonstrated actions.

Source: Zhao et al. 2023 (arXiv 2304.13705); policies/act.py has the network and the loss.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aloha_stack.policies.act import Act, act_loss
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.byol import read_encoders
from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.normalisation import Normaliser
from aloha_stack.policies.policy import PolicyError, PolicySpec
from aloha_stack.policies.weights import load_weights
from aloha_stack.training.dataset import EpisodeDataset, Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.objective import Network, Term, Terms
from aloha_stack.training.recipes import Recipe, RecipeError
from aloha_stack.training.statistics import Statistics
from aloha_stack.training.store import EpisodeStore

LOSS = {"kl_weight": 10.0, "over_padding": False, "std_floor": 0.01, "backbone_weights": None}
"""Keys of the recipe's `loss`, and their defaults."""

FROM_DATA = ("cameras", "state_dim", "action_dim", "crop", "seen")
_LATENT = 10  # purpose of draws


class ActObjective:
    """A network for the cameras and joints of a store, and the loss that its recipe asks for."""

    judged_by = "l1"
    losses_are = (
        "Losses are mean absolute errors in units of each joint's standard deviation; that of "
        "training has all its terms."
    )
    kept_clean: tuple[str, ...] = ()

    def __init__(
        self, recipe: Recipe, store: EpisodeStore, statistics: Mapping[str, Statistics]
    ) -> None:
        """Draws the start weights from torch's generator. Raises RecipeError."""
        self._loss = {**LOSS, **recipe.loss}
        _check_loss(self._loss)
        self.config = _config(recipe, store)
        self.spec = _spec(store, self.config)
        self._statistics = statistics
        self.state, self.action = (
            Normaliser.of(statistics[name].as_dict(), names, floor=self._loss["std_floor"])
            for name, names in (
                ("state", self.spec.state_names),
                ("action", self.spec.action_names),
            )
        )
        self.module = Act(self.config)
        if self._loss["backbone_weights"] is not None:
            file = Path(self._loss["backbone_weights"])
            load = _load_byol if file.is_dir() else _load_backbone
            load(self.module, file, store.cameras)

    def dataset(self, store: EpisodeStore) -> EpisodeDataset:
        """Chunks, one for each step."""
        return EpisodeDataset(store, self.config.chunk)

    def loss(self, network: Network, batch: Sample, draws: Draws) -> Terms:
        """Absolute error of the chunk (normalised units) and, weighted, the divergence of z."""
        images, state, action, is_pad = self._inputs(batch)
        noise = torch.from_numpy(draws.normal(_LATENT, len(state), self.config.latent))
        output = network(images, state, action, is_pad, noise.to(state.device))
        over = self._loss["over_padding"]
        loss = act_loss(output, action, is_pad, over_padding=over)
        steps = is_pad.numel() if over else (~is_pad).sum()
        terms = {"l1": Term(loss.l1, steps)}
        if self.config.cvae:
            terms["kl"] = Term(loss.kl, len(state), self._loss["kl_weight"])
        return terms

    def validate(self, network: Network, batch: Sample) -> Terms:
        """Absolute error with z = 0, as at rollout, over the steps that are no padding."""
        images, state, action, is_pad = self._inputs(batch)
        loss = act_loss(network(images, state), action, is_pad)
        return {"l1": Term(loss.l1, (~is_pad).sum())}

    def groups(self) -> Mapping[str, Sequence[str]]:
        """The backbone's parameters apart, for they may have a step size of their own."""
        names = [name for name, _ in self.module.named_parameters()]
        backbone = [name for name in names if name.startswith("backbone.")]
        return {"main": [n for n in names if n not in set(backbone)], "backbone": backbone}

    def rounded(self, name: str) -> bool:
        """All of them."""
        return True

    def checkpoint(self, weights: Mapping[str, Tensor]) -> Checkpoint:
        """With the statistics as they were used: std raised to the recipe's floor."""
        used = {"state": self.state, "action": self.action}
        statistics = {
            name: {**self._statistics[name].as_dict(), **normaliser.as_dict()}
            for name, normaliser in used.items()
        }
        return Checkpoint(self.spec, self.config.as_dict(), statistics, weights)

    def _inputs(self, batch: Sample) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures (B, C, 3, H, W) uint8, state and action normalised, is_pad."""
        device = batch["state"].device
        self.state, self.action = self.state.to(device), self.action.to(device)
        images = batch["images"].permute(0, 1, 4, 2, 3)
        return images, self.state(batch["state"]), self.action(batch["action"]), batch["is_pad"]


def _config(recipe: Recipe, store: EpisodeStore) -> ActConfig:
    fixed = [key for key in FROM_DATA if key in recipe.network]
    if fixed:
        raise RecipeError(f"network.{fixed[0]} follows from the data; leave it out")
    states = len(store.settings.state_names)
    sizes = {
        "cameras": len(store.cameras),
        "state_dim": states,
        "action_dim": 14,
        "crop": store.settings.crop,
        "seen": store.settings.seen,
    }
    try:
        return ActConfig.from_dict({**recipe.network, **sizes})
    except PolicyError as error:
        raise RecipeError(f"network.{error}") from error


def _spec(store: EpisodeStore, config: ActConfig) -> PolicySpec:
    first = store.episodes[0]
    return PolicySpec(
        policy="act",
        robot=first.robot,
        cameras=store.cameras,
        image_size=store.image_size,
        chunk=config.chunk,
        task=", ".join(sorted({episode.task for episode in store.episodes})),
        rate_hz=float(store.settings.alignment.step_hz),
        state_names=store.settings.state_names,
    )


def _check_loss(loss: Mapping[str, Any]) -> None:
    unknown = [key for key in loss if key not in LOSS]
    if unknown:
        raise RecipeError(f"loss.{unknown[0]}: unknown; expected one of {', '.join(LOSS)}")
    for key in ("kl_weight", "std_floor"):
        value = loss[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise RecipeError(f"loss.{key}: expected a number from 0, found {value!r}")
    if not isinstance(loss["over_padding"], bool):
        raise RecipeError(f"loss.over_padding: expected true or false, not {loss['over_padding']}")
    if not isinstance(loss["backbone_weights"], str | None):
        raise RecipeError("loss.backbone_weights: expected a file, a BYOL's folder, or null")


def _load_byol(network: Act, folder: Path, cameras: Sequence[str]) -> None:
    """The encoder that a BYOL has for the first of these cameras; ACT has one for all."""
    try:
        weights = read_encoders(folder).weights
        camera = next((name for name in cameras if name in weights), None)
        if camera is None:
            raise PolicyError(f"it has encoders for {', '.join(weights)} only")
        theirs = {name.removeprefix("backbone."): value for name, value in weights[camera].items()}
        load_weights(network.backbone, _without_counters(theirs))
    except PolicyError as error:
        raise RecipeError(f"loss.backbone_weights: {folder}: {error}") from error


def _load_backbone(network: Act, file: Path, cameras: Sequence[str]) -> None:
    try:
        weights = load_file(file)
    except (OSError, SafetensorError) as error:
        raise RecipeError(f"loss.backbone_weights: {file} cannot be read: {error}") from error
    head = ("fc.weight", "fc.bias")  # of the classifier, which ACT does not use
    used = {name: value for name, value in weights.items() if name not in head}
    try:
        load_weights(network.backbone, _without_counters(used))
    except PolicyError as error:
        raise RecipeError(f"loss.backbone_weights: {file}: {error}") from error


def _without_counters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those that frozen norms have."""
    return {n: value for n, value in weights.items() if not n.endswith("num_batches_tracked")}
