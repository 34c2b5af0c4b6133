"""The training loop, for every policy: draw a batch, compute, sum, move, average, validate, save.

What is random follows from the seed and the step's number alone (draws.py), and what is saved is
everything else; so a training that was interrupted ends with the very weights of one that was not.
(Where minutes and not steps say when it is over, the step size follows the clock, too.)
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import torch
from torch import Tensor

from aloha_stack.training.augmentation import Augmentation
from aloha_stack.training.averaging import Average
from aloha_stack.training.computing import adamw, computed_in, counts, sums, weighted
from aloha_stack.training.dataset import Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.memory import keep_freed_memory
from aloha_stack.training.objective import Network, Objective
from aloha_stack.training.place import Place, Validation, packed, unpack
from aloha_stack.training.prefetching import prefetched
from aloha_stack.training.processes import Processes
from aloha_stack.training.recipes import TrainingRecipe
from aloha_stack.training.reports import Reports
from aloha_stack.training.run_folder import RunFolder, Saved
from aloha_stack.training.sampling import EPISODE, SeededSampler, loader
from aloha_stack.training.schedule import Schedule
from aloha_stack.training.store import EpisodeStore

LOOK_S = 1.0
"""Time between two looks at the losses, which wait for the device."""
ENDLESS = 1 << 40
"""Samples to draw where time, and not steps, says when it is over."""

Stop = Callable[[], bool]
Card = Callable[[Place, str], str]
"""CARD.md of a place, and of why the training ended there."""


@dataclass(frozen=True)
class Parts:
    """What a Trainer works with."""

    objective: Objective
    recipe: TrainingRecipe
    train: EpisodeStore
    validation: EpisodeStore | None
    augmentation: Augmentation
    folder: RunFolder
    card: Card
    seed: int = 0
    workers: int = 0
    processes: Processes = field(default_factory=Processes)


class Trainer:
    """One training, from its beginning or from what was saved last."""

    def __init__(self, parts: Parts, began_s: float | None = None) -> None:
        """`began_s` (time.monotonic) is when the command began: minutes count from there.

        Raises TrainingError for a batch that the processes cannot share.
        """
        self.parts, self.recipe = parts, parts.recipe
        self.objective, self.processes = parts.objective, parts.processes
        self.module = parts.objective.module.to(parts.processes.device)
        self.parameters = dict(self.module.named_parameters())
        self.average = Average(self.parameters, parts.recipe.ema)
        self.optimizer = adamw(parts.objective, parts.recipe, self.parameters)
        self.schedule = Schedule(parts.recipe)
        self.share = parts.processes.share(parts.recipe.batch)
        self.place = Place()
        self.waited_s = 0.0  # for batches
        self._began_s = time.monotonic() if began_s is None else began_s
        self._earlier_s = 0.0
        self._reserve_s = 0.0  # for the last validation
        self._looked_s = self._saved_s = time.monotonic()
        self._done, self._stopped = 0.0, False
        self._unseen: list[tuple[Tensor, Tensor]] = []  # losses and gradient's norm of steps
        self._terms: tuple[str, ...] = ()

    def resume(self, saved: Saved) -> None:
        """Goes on from there. Raises TrainingError for what is of another network, and for fewer
        steps than are done."""
        self.place = unpack(saved, self.module, self.average, self.optimizer)
        if self.recipe.minutes is None and self.place.step > self.recipe.steps:
            raise TrainingError(
                f"{self.place.step} steps are done already, and training.steps is "
                f"{self.recipe.steps}: --set training.steps=… to a larger number"
            )
        self._earlier_s = self.place.elapsed_s
        self._done = self.schedule.done(self.place.step, self._elapsed())

    def run(self, reports: Reports | None = None, stop: Stop = lambda: False) -> str:
        """Trains to the end, or until `stop()`; says why it ended. The first process has reports.

        Raises TrainingError (a loss that is no number, a full disk), EpisodeError.
        """
        keep_freed_memory()
        with closing(prefetched(self._batches())) as batches:
            while not (reason := self._ended()):
                began = time.monotonic()
                batch = next(batches)
                self.waited_s += time.monotonic() - began
                look, save = self._step(batch, stop)
                validate = self.place.step % self.recipe.validate_every == 0
                if look or save or validate:
                    self._look(reports)
                if validate:
                    self._validate(reports)
                if save:
                    self._save()
        self._look(reports)
        rows = self.place.validations
        if not self._stopped and (not rows or rows[-1].step != self.place.step):
            self._validate(reports)
        self._save(reason)
        return reason

    def _ended(self) -> str:
        if self._stopped:
            return "stopped"
        if self._done >= 1.0:
            return "complete"
        if self.recipe.patience and self.place.since_best >= self.recipe.patience:
            return f"no better validation for {self.place.since_best} times"
        return ""

    def _batches(self) -> Iterator[Sample]:
        """This process's part of each batch, changed at random, from the present step on.

        The loader's workers start here and now, as children of the thread that calls: forked from
        a thread of a pool they could not end well, and one that ends badly stops the training.
        """
        parts, recipe, processes = self.parts, self.recipe, self.processes
        dataset = self.objective.dataset(parts.train)
        count = ENDLESS if recipe.minutes is not None else recipe.steps * recipe.batch
        sampler = SeededSampler(
            dataset, recipe.draw, parts.seed, count, processes.rank, processes.count
        )
        step = self.place.step
        sampler.set_epoch(0, drawn=step * self.share)
        drawn = iter(loader(dataset, sampler, self.share, parts.workers))
        return (
            parts.augmentation(batch, self._draws(number))
            for number, batch in enumerate(drawn, step)
        )

    def _step(self, batch: Sample, stop: Stop) -> tuple[bool, bool]:
        """One step; whether it is time to look at the losses, and to save."""
        place, recipe = self.place, self.recipe
        draws = self._draws(place.step)
        torch.manual_seed(draws.own_seed)
        self.module.train()
        network = self._network(self.parameters)
        terms = self.objective.loss(network, self._on_device(batch), draws)
        losses = weighted(terms, self.processes.sum(counts(terms)))
        losses.sum().backward()
        self.processes.sum_gradients(self.parameters.values())
        most = math.inf if recipe.clip is None else recipe.clip
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), most)
        factor = self.schedule.factor(place.step, self._done)
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group["full_lr"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        place.step += 1
        self.average.update(place.step)
        self._terms = tuple(terms)
        self._unseen.append((losses.detach(), norm))
        return self._agree(stop())

    def _agree(self, stop: bool) -> tuple[bool, bool]:
        """All processes go by the first one's clock, and stop together."""
        now = time.monotonic()
        done = self.schedule.done(self.place.step, self._elapsed(), self._reserve_s)
        look = now - self._looked_s >= LOOK_S
        save = now - self._saved_s >= 60 * self.recipe.save_minutes
        if self.processes.count > 1:
            mine = [done, look, save] if self.processes.first else [0.0, 0.0, 0.0]
            agreed = torch.tensor([stop, *mine], dtype=torch.float64, device=self.processes.device)
            stop, done, look, save = self.processes.sum(agreed).tolist()
        self._stopped, self._done = bool(stop), done
        return bool(look), bool(save)

    def _look(self, reports: Reports | None) -> None:
        """Reads the losses of the steps since the last look. Raises TrainingError for one that is
        no number: nothing was saved since."""
        self._looked_s = time.monotonic()
        if not self._unseen:
            return
        losses = self.processes.sum(torch.stack([losses for losses, _ in self._unseen]))
        norms = torch.stack([norm for _, norm in self._unseen])
        rows = torch.cat([losses, norms[:, None]], dim=1).double().cpu()
        first = self.place.step - len(self._unseen) + 1
        self._unseen.clear()
        bad = (~torch.isfinite(rows).all(dim=1)).nonzero()
        if len(bad):
            raise TrainingError(
                f"the loss or its gradient is no number (NaN or infinite) in step "
                f"{first + int(bad[0])}; what was saved before is whole. Look at the data, or go "
                "on from there with --resume --set training.lr=… (a lower one)"
            )
        self.place.loss_sum += float(rows[:, :-1].sum())
        self.place.loss_count += len(rows)
        if reports is not None:
            *means, norm = rows.mean(dim=0).tolist()
            terms = dict(zip(self._terms, means, strict=True))
            reports.learnt(self.place.step, terms, norm, self.optimizer.param_groups[0]["lr"])
            reports.show(self.place.step, self._done, self._left_s())

    @torch.no_grad()
    def _validate(self, reports: Reports | None) -> None:
        """Measures the averaged weights; the best so far become the policy."""
        place, began = self.place, time.monotonic()
        mean = place.loss_sum / max(place.loss_count, 1)
        place.loss_sum, place.loss_count = 0.0, 0
        if self.parts.validation is None:
            place.validations.append(Validation(place.step, mean, None))
            self._save_best()
            return
        losses = self._validation_losses(self.parts.validation)
        value = losses[self.objective.judged_by]
        if not math.isfinite(value):
            raise TrainingError(
                f"the validation loss is no number (NaN or infinite) after step {place.step}; "
                "what was saved before is whole"
            )
        place.validations.append(Validation(place.step, mean, value))
        place.since_best += 1
        if place.best is None or value < place.best:
            place.best = value
            self._save_best()
        if reports is not None:
            reports.validated(place.step, losses, value, place.best)
        self._reserve_s = 1.5 * (time.monotonic() - began)

    def _validation_losses(self, store: EpisodeStore) -> dict[str, float]:
        """Of the same samples each time, every episode alike."""
        processes, recipe = self.processes, self.recipe
        dataset = self.objective.dataset(store)
        count = math.ceil(recipe.validation_samples / recipe.batch) * recipe.batch
        sampler = SeededSampler(dataset, EPISODE, 0, count, processes.rank, processes.count)
        self.module.eval()
        network = self._network(self.average.weights)
        total: Tensor | None = None
        names: tuple[str, ...] = ()
        with closing(prefetched(loader(dataset, sampler, self.share))) as batches:
            for batch in batches:
                terms = self.objective.validate(network, self._on_device(batch))
                part = sums(terms)
                total, names = part if total is None else total + part, tuple(terms)
        assert total is not None  # a batch has at least one sample
        values, over = processes.sum(total)
        return dict(zip(names, (values / over.clamp(min=1)).tolist(), strict=True))

    def _save(self, reason: str = "") -> None:
        """Writes all that is needed to go on; at the end, the card anew."""
        self._saved_s = time.monotonic()
        self.place.elapsed_s = self._elapsed()
        if not self.processes.first:
            return
        folder = self.parts.folder
        folder.save_last(packed(self.place, self.module, self.average, self.optimizer))
        if reason and folder.has_best():
            folder.write_card(self.parts.card(self.place, reason))

    def _save_best(self) -> None:
        self.place.best_step, self.place.since_best = self.place.step, 0
        if not self.processes.first:
            return
        self.place.elapsed_s = self._elapsed()
        weights = {**self.module.state_dict(), **self.average.weights}
        best = self.objective.checkpoint(weights)
        self.parts.folder.save_best(best, self.parts.card(self.place, ""))

    def _network(self, weights: Mapping[str, Tensor]) -> Network:
        return computed_in(self.module, weights, self.recipe.precision, self.objective.rounded)

    def _draws(self, step: int) -> Draws:
        return Draws(self.parts.seed, step, self.processes.rank, self.processes.count)

    def _on_device(self, batch: Sample) -> Sample:
        device = self.processes.device
        if device.type == "cpu":
            return batch
        return {name: value.to(device, non_blocking=True) for name, value in batch.items()}

    def _elapsed(self) -> float:
        return self._earlier_s + time.monotonic() - self._began_s

    def _left_s(self) -> float | None:
        """Until the end, by how far it came until now."""
        elapsed = self._elapsed()
        if self.recipe.minutes is not None:
            return max(60 * self.recipe.minutes - elapsed, 0.0)
        return elapsed * (1 - self._done) / self._done if self._done > 0 else None
