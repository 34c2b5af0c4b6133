"""A training from its request: recipe, data, objective, folder, loop."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from aloha_stack.episodes.commanders import in_words
from aloha_stack.episodes.metadata import FILE_NAME
from aloha_stack.policies.weights import count
from aloha_stack.progress import Progress
from aloha_stack.training.act import ActObjective
from aloha_stack.training.augmentation import Augmentation
from aloha_stack.training.byol import ByolObjective
from aloha_stack.training.cae import CaeObjective
from aloha_stack.training.card import CardFacts, card, machine
from aloha_stack.training.data import TrainingData, open_data
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.loop import Parts, Trainer
from aloha_stack.training.objective import Finishing, Objective
from aloha_stack.training.processes import Processes, join, leave
from aloha_stack.training.recipes import (
    Recipe,
    RecipeError,
    default_recipe,
    load_recipe,
    recipe_of,
)
from aloha_stack.training.recurrent import RecurrentObjective
from aloha_stack.training.reports import Reports, clock
from aloha_stack.training.run_folder import RunFolder
from aloha_stack.training.snds import CloningObjective, SndsObjective

OBJECTIVES: Mapping[str, Callable[..., Objective]] = {
    "act": ActObjective,
    "each_layer_lstm": RecurrentObjective,
    "cnnrnn": RecurrentObjective,
    "cae_rnn": RecurrentObjective,
    "sarnn": RecurrentObjective,
    "cae": CaeObjective,
    "byol": ByolObjective,
    "snds": SndsObjective,
    "cloning": CloningObjective,
}
"""Policy to what is made of a recipe, the training episodes and their statistics."""

CACHE = ".cache"
KEPT = ("policy", "data", "network", "loss")
"""Parts of a recipe that a training keeps to its end."""


@dataclass(frozen=True)
class Request:
    """What `./aloha train` was asked for."""

    policy: str
    data: tuple[Path, ...]
    out: Path
    recipe: str | None = None
    changes: tuple[str, ...] = ()
    seed: int | None = None
    minutes: float | None = None
    resume: bool = False
    workers: int | None = None
    cache: Path | None = None
    device: str | None = None
    encoder: str | None = None  # of a VINN
    add: bool = False  # to the index of a VINN
    command: str = ""
    began_s: float | None = None  # time.monotonic() of the command's beginning


@dataclass(frozen=True)
class Begun:
    """What a training keeps from its beginning through all interruptions; run.json holds it."""

    recipe: Recipe
    recipe_name: str
    data: tuple[Path, ...]
    seed: int
    command: str
    digest: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "recipe": self.recipe.as_dict(),
            "recipe_name": self.recipe_name,
            "data": [str(path) for path in self.data],
            "seed": self.seed,
            "command": self.command,
            "digest": self.digest,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Begun":
        """The reverse. Raises TrainingError."""
        try:
            return Begun(
                recipe_of(data["recipe"]),
                data["recipe_name"],
                tuple(map(Path, data["data"])),
                data["seed"],
                data["command"],
                data["digest"],
            )
        except (KeyError, TypeError) as error:
            raise TrainingError(f"run.json lacks {error}") from error


def train(request: Request, stop: Callable[[], bool] = lambda: False) -> None:
    """Trains, telling how it goes. Raises TrainingError, EpisodeError."""
    processes = join(request.device)
    try:
        _train(request, stop, processes)
    finally:
        leave()


def _train(request: Request, stop: Callable[[], bool], processes: Processes) -> None:
    progress = Progress() if processes.first else None
    folder = RunFolder(request.out)
    if not request.resume and processes.first:
        folder.check_new()
    begun = _resumed(folder, request) if request.resume else _new(request)
    recipe = begun.recipe
    cache = request.cache
    if cache is None and recipe.data.cache:
        cache = beside(begun.data[0]) / CACHE

    def tell(what: str, part: float) -> None:
        if progress is not None:
            progress.show(what, part)

    data = open_data(begun.data, recipe.data, cache, tell)
    if request.resume and data.digest != begun.digest:
        raise TrainingError(
            f"the episodes are not those that {request.out} was trained with; a training goes on "
            "with its own (begin another for others)"
        )
    begun = replace(begun, digest=data.digest)
    torch.manual_seed(begun.seed)
    objective = OBJECTIVES[recipe.policy](recipe, data.train, data.statistics)
    facts = CardFacts(
        spec=objective.spec,
        losses_are=objective.losses_are,
        recipe=recipe,
        recipe_name=begun.recipe_name,
        data=data,
        command=begun.command,
        seed=begun.seed,
        machine=machine(),
        parameters=count(objective.module),
        items=len(objective.dataset(data.train)),
    )
    workers = request.workers
    if workers is None:
        workers = 0 if cache is not None else min(2, len(os.sched_getaffinity(0)))
    parts = Parts(
        objective=objective,
        recipe=recipe.training,
        train=data.train,
        validation=data.validation,
        augmentation=Augmentation(
            recipe.augmentation, data.statistics["state"], begun.seed, objective.kept_clean
        ),
        folder=folder,
        card=lambda place, ended: card(facts, place, ended),
        seed=begun.seed,
        workers=workers,
        processes=processes,
    )
    trainer = Trainer(parts, request.began_s)
    if request.resume:
        saved = folder.load_last()
        if saved is not None:
            trainer.resume(saved)
    elif processes.first:
        folder.begin(begun.as_dict())
    if progress is None:
        trainer.run(None, stop)
        return
    progress.say(_beginning(data, facts, trainer))
    steps = recipe.training.steps if recipe.training.minutes is None else None
    reports = Reports(folder.inner, progress, recipe.training.batch, steps, trainer.place.step)
    began = time.monotonic()
    try:
        reason = trainer.run(reports, stop)
    finally:
        reports.close()
    place = trainer.place
    best = "" if place.best is None else f", best validation {place.best:.4f}"
    waited = trainer.waited_s / max(time.monotonic() - began, 1e-9)
    progress.say(
        f"{reason} after {place.step} steps in {clock(place.elapsed_s)}{best} (step "
        f"{place.best_step}); {waited:.1%} of the time was spent waiting for pictures"
    )
    if isinstance(objective, Finishing) and reason != "stopped" and folder.has_best():
        progress.say(objective.finish(request.out))
    progress.say(f"policy: {request.out}" if folder.has_best() else "no policy yet: no validation")
    if reason == "stopped":
        progress.say(f"go on: ./aloha train {recipe.policy} --out {request.out} --resume")


def beside(data: Path) -> Path:
    """A folder of episodes, or that of an episode: where a cache lies by default."""
    return data.absolute().parent if (data / FILE_NAME).exists() else data


def _new(request: Request) -> Begun:
    name = request.recipe or default_recipe(request.policy)
    recipe = load_recipe(name, _changes(request))
    if recipe.policy != request.policy:
        raise RecipeError(f"recipe {name} is of policy {recipe.policy}, not {request.policy}")
    return Begun(recipe, name, request.data, request.seed or 0, request.command)


def _resumed(folder: RunFolder, request: Request) -> Begun:
    begun = Begun.from_dict(folder.described())
    recipe = recipe_of(begun.recipe.as_dict(), _changes(request))
    for part in KEPT:
        if getattr(recipe, part) != getattr(begun.recipe, part):
            raise TrainingError(
                f"--set {part}…: a training goes on with the {part} that it began with; only "
                "training and augmentation may change"
            )
    if request.policy != recipe.policy:
        raise TrainingError(f"{request.out} trains {recipe.policy}, not {request.policy}")
    return replace(begun, recipe=recipe, data=request.data or begun.data)


def _changes(request: Request) -> tuple[str, ...]:
    minutes = request.minutes
    return (*request.changes, *([f"training.minutes={minutes}"] if minutes is not None else []))


def _beginning(data: TrainingData, facts: CardFacts, trainer: Trainer) -> str:
    validation = 0 if data.validation is None else len(data.validation.episodes)
    recipe = facts.recipe.training
    until = f"{recipe.steps} steps" if recipe.minutes is None else f"{recipe.minutes:g} minutes"
    begins = f", from step {trainer.place.step} on" if trainer.place.step else ""
    left_out = f", {data.left_out} failures left out" if data.left_out else ""
    if sum(data.commanded.values()) > len(data.train):
        left_out += (
            f"; learnt from steps of {' or '.join(facts.recipe.data.commanders)} (recorded: "
            f"{in_words(data.commanded)})"
        )
    if data.not_commanded:
        left_out += f", {data.not_commanded} episodes without one left out"
    return (
        f"{facts.recipe_name}: {sum(facts.parameters.values()) / 1e6:.2f} million weights, "
        f"{len(data.train.episodes)} episodes ({len(data.train)} steps), {validation} to validate"
        f"{left_out}; {until} of {recipe.batch} samples{begins}\n{facts.machine}"
    )
