"""`./aloha train vinn`: demonstrations, encoded, as an index that acts; nothing moves weights.

The encoder is fitted and the index made with the episodes to learn from; k, joint weight and
temperature are chosen on those to validate with, which then join the index (network.keep). More
episodes may join a policy that is there (`add`), with its encoder as it is.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from aloha_stack.policies import checkpoint, vinn_index
from aloha_stack.policies.encoders import EncoderConfig
from aloha_stack.policies.policy import PolicyError, PolicySpec
from aloha_stack.policies.vinn import NAME, NOTHING, VinnPolicy, weights_hash
from aloha_stack.policies.vinn_config import VinnConfig
from aloha_stack.policies.vinn_embedding import Embedding
from aloha_stack.policies.vinn_index import Index, joined
from aloha_stack.training.data import TrainingData, open_data
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.recipes import DataRecipe, Recipe, RecipeError
from aloha_stack.training.run_folder import RunFolder
from aloha_stack.training.vinn_card import added, card
from aloha_stack.training.vinn_choice import (
    Candidates,
    Trial,
    chosen,
    chosen_steps,
    questions,
    trials,
)
from aloha_stack.training.vinn_memory import RANDOM, Eyes, Tell, embedded, eyes, fit, memory

NETWORK: Mapping[str, Any] = {
    "encoder_from": RANDOM,  # joints, random, a checkpoint of BYOL, a file of torchvision's
    "encoder": {},  # sizes of one that is random or torchvision's
    "grid": (1, 1),
    "dims": None,
    "fit_pictures": 1000,  # that principal components are of
    "neighbours": (1, 2, 3, 5, 10),  # what is chosen from
    "joint_weight": (1.0, 3.0, 10.0),
    "temperature": (0.03, 0.1, 0.3, 1.0),
    "apart": False,
    "chunk": 100,
    "every": 1,
    "blend": 10,
    "keep": True,  # whether episodes to validate with join the index in the end
}
"""Keys of the recipe's `network`, and their defaults."""


@dataclass(frozen=True)
class Making:
    """What `./aloha train vinn` makes."""

    recipe: Recipe
    recipe_name: str
    data: tuple[Path, ...]
    out: Path
    seed: int
    cache: Path | None
    command: str


def make(making: Making, tell: Tell) -> str:
    """Makes the checkpoint; a line that tells what came out. Raises TrainingError, EpisodeError."""
    began = time.monotonic()
    RunFolder(making.out).check_new()
    settings = _settings(making.recipe)
    data = open_data(making.data, making.recipe.data, making.cache, tell)
    if making.recipe.data.state != ("position",):
        raise RecipeError("data.state: a VINN compares positions; expected [position]")
    try:
        seeing, index, tried = _learnt(making, settings, data, tell)
        config = chosen(seeing.config, tried[0]) if tried else _untried(seeing.config, settings)
        weights = _weights(seeing.embedding)
        making.out.mkdir(parents=True, exist_ok=True)
        described = vinn_index.write(making.out, index, weights_hash(weights))
        config = replace(config, index=described)
        spec = _spec(data, config)
        policy = VinnPolicy(spec, config, seeing.embedding, index)
        statistics = {name: part.as_dict() for name, part in data.statistics.items()}
        text = card(making, policy, data, tried, time.monotonic() - began)
        made = checkpoint.Checkpoint(policy.spec, config.as_dict(), statistics, weights)
        checkpoint.save(making.out, made, text)
    except PolicyError as error:
        raise TrainingError(str(error)) from error
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{making.out} cannot be written: {error}") from error
    size = sum(file.stat().st_size for file in making.out.rglob("*") if file.is_file())
    judged = f", error {tried[0].error:.4f} on validation" if tried else ""
    return (
        f"{config.features}: {len(index):,} steps of {len(index.sources)} episodes, k "
        f"{config.neighbours}, joint weight {config.joint_weight:g}, temperature "
        f"{config.temperature:g}{judged}; {size / 1e6:.1f} MB"
    )


def add(model: Path, data: Sequence[Path], tell: Tell) -> str:
    """Lets more episodes join the index of a VINN; a line that tells how it is now. Raises
    TrainingError, EpisodeError; then the policy is as it was."""
    try:
        there = checkpoint.read(model)
        if there.spec.policy != NAME:
            raise PolicyError(f"{model}: a policy '{there.spec.policy}' has no index; {NAME} has")
        policy = checkpoint.load(model)
        assert isinstance(policy, VinnPolicy)
        spec, config = policy.spec, policy.config
        recipe = DataRecipe(
            cameras=spec.cameras,
            image_size=spec.image_size,
            crop=config.crop,
            seen=config.seen,
            step_hz=spec.rate_hz,
            validation=0.0,
            cache=False,
        )
        store = open_data(data, recipe, None, tell).train
        if store.episodes[0].robot != spec.robot:
            raise PolicyError(f"episodes of robot {store.episodes[0].robot}, not {spec.robot}")
        index = joined(policy.index, memory(policy.embedding, store, tell))
        described = vinn_index.write(model, index, weights_hash(there.weights))
        told = {**there.config, "index": described}
        names = [source.name for source in index.sources[len(policy.index.sources) :]]
        text = added(model / checkpoint.CARD, names, len(store))
        checkpoint.save(
            model, checkpoint.Checkpoint(there.spec, told, there.statistics, there.weights), text
        )
        vinn_index.remove_others(model, described)
    except PolicyError as error:
        raise TrainingError(str(error)) from error
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{model} cannot be written: {error}") from error
    return (
        f"{len(names)} episodes ({len(store):,} steps) joined: {len(index):,} steps of "
        f"{len(index.sources)} episodes"
    )


def _learnt(
    making: Making, settings: Mapping[str, Any], data: TrainingData, tell: Tell
) -> tuple[Eyes, Index, list[Trial]]:
    torch.manual_seed(making.seed)
    seeing = eyes(settings["encoder_from"], _config(settings, data), data.train)
    fit(seeing.embedding, data.train, settings["fit_pictures"], tell)
    index = memory(seeing.embedding, data.train, tell)
    most = len(index.sources) if settings["apart"] else len(index)
    if max(settings["neighbours"]) > most:
        raise RecipeError(
            f"network.neighbours: {max(settings['neighbours'])} neighbours; there are only {most} "
            f"{'episodes' if settings['apart'] else 'steps'} to learn from"
        )
    if data.validation is None:
        return seeing, index, []
    steps = chosen_steps(data.validation, making.recipe.training.validation_samples)
    asked = questions(
        data.validation,
        steps,
        embedded(seeing.embedding, data.validation, steps),
        settings["chunk"],
    )
    candidates = Candidates(
        settings["neighbours"], settings["joint_weight"], settings["temperature"]
    )
    tried = trials(index, seeing.config, asked, candidates, tell)
    if settings["keep"]:
        index = joined(index, memory(seeing.embedding, data.validation, tell))
    return seeing, index, tried


def _config(settings: Mapping[str, Any], data: TrainingData) -> VinnConfig:
    try:
        return VinnConfig(
            features=RANDOM,
            encoder=EncoderConfig.from_dict(settings["encoder"]),
            grid=settings["grid"],
            dims=settings["dims"],
            crop=data.train.settings.crop,
            seen=data.train.settings.seen,
            apart=settings["apart"],
            chunk=settings["chunk"],
            every=settings["every"],
            blend=settings["blend"],
            joint_weight=settings["joint_weight"][0],
        )
    except PolicyError as error:
        raise RecipeError(f"network.{error}") from error


def _untried(config: VinnConfig, settings: Mapping[str, Any]) -> VinnConfig:
    """Without episodes to validate with: the first of what might have been chosen."""
    return replace(
        config,
        neighbours=settings["neighbours"][0],
        joint_weight=settings["joint_weight"][0],
        temperature=settings["temperature"][0],
    )


def _spec(data: TrainingData, config: VinnConfig) -> PolicySpec:
    store = data.train
    sees = config.encoder is not None
    return PolicySpec(
        policy=NAME,
        robot=store.episodes[0].robot,
        cameras=store.cameras if sees else (),
        image_size=store.image_size if sees else None,
        chunk=config.chunk,
        task=", ".join(sorted({episode.task for episode in store.episodes})),
        rate_hz=float(store.settings.alignment.step_hz),
        state_names=store.settings.state_names,
        stateful=config.every > 1,
    )


def _weights(embedding: Embedding) -> dict[str, Tensor]:
    weights = dict(embedding.state_dict())
    return weights or {NOTHING: torch.zeros(1)}


def _settings(recipe: Recipe) -> dict[str, Any]:
    """The recipe's `network`, complete. Raises RecipeError."""
    if recipe.loss:
        raise RecipeError(f"loss.{next(iter(recipe.loss))}: a VINN has no loss")
    unknown = [key for key in recipe.network if key not in NETWORK]
    if unknown:
        raise RecipeError(f"network.{unknown[0]}: unknown; expected one of {', '.join(NETWORK)}")
    settings = {**NETWORK, **recipe.network}
    for key in ("neighbours", "joint_weight", "temperature"):
        value = settings[key]
        settings[key] = _tuple(value) if isinstance(value, list | tuple) else (value,)
        for one in settings[key] or (None,):
            told: dict[str, Any] = {key: one}
            try:
                VinnConfig(**told)
            except PolicyError as error:
                raise RecipeError(f"network.{error}") from error
    settings["grid"] = _tuple(settings["grid"])
    count = settings["fit_pictures"]
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise RecipeError(f"network.fit_pictures: expected a whole number from 2, found {count!r}")
    if not isinstance(settings["encoder"], Mapping):
        raise RecipeError("network.encoder: expected sizes of an encoder")
    if not isinstance(settings["encoder_from"], str):
        raise RecipeError(f"network.encoder_from: found {settings['encoder_from']!r}")
    if not isinstance(settings["keep"], bool):
        raise RecipeError(f"network.keep: expected true or false, found {settings['keep']!r}")
    return settings


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
