"""Learning and measuring all networks of the handwriting experiment, a group of them at a time.

Kept in the folder of work: plan.json; METHOD_GROUP.safetensors, a group's state in the midst of
its learning; METHOD_SHAPE_FOLD.json, what was measured of one network, and the way that it wrote,
with its weights beside it.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from aloha_stack.experiments.lasa_data import DEMONSTRATIONS, STEPS, Shape, load_shape
from aloha_stack.experiments.lasa_measures import measure
from aloha_stack.experiments.lasa_methods import METHODS, Method
from aloha_stack.policies.lyapunov import TANGENT
from aloha_stack.progress import Progress, duration
from aloha_stack.training.side_by_side import Flow, Pace, SideBySide
from aloha_stack.training.snds_loss import terms, weighted
from aloha_stack.training.tracks import Windows

GROUP = 6
"""Networks that learn side by side: enough to share Python's time, few enough for the caches."""
BATCH = 128
STRIDE = 20
"""Of a window, in samples of 1/999 of a duration: the rollout's Euler step is 2 % of it."""
SAVE_S = 60.0
WAY_POINTS = 200


class RunError(Exception):
    """The experiment cannot go on."""


@dataclass(frozen=True)
class Plan:
    """What is asked for. A folder of work belongs to one plan, its shapes apart."""

    shapes: tuple[str, ...]
    folds: int = 1
    steps: int = 3000
    seed: int = 0
    anchor: str = TANGENT  # of V, see policies/lyapunov.py
    alpha: float = 1.5  # per duration

    @property
    def items(self) -> list[tuple[str, int]]:
        """Shape and demonstration held out, of every network of a method."""
        held_out = [DEMONSTRATIONS - 1 - fold for fold in range(self.folds)]
        return [(name, number) for name in self.shapes for number in held_out]


Results = dict[str, dict[tuple[str, int], dict[str, Any]]]
"""Method -> (shape, held out) -> "measures", "way", "train_s"."""


def run(plan: Plan, work: Path, progress: Progress) -> Results:
    """Does what is not done yet. Raises RunError for a folder of another plan."""
    work.mkdir(parents=True, exist_ok=True)
    _keep_plan(plan, work)
    groups = [plan.items[at : at + GROUP] for at in range(0, len(plan.items), GROUP)]
    for method in METHODS:
        for group in groups:
            open_items = [item for item in group if not _file(work, method, item).exists()]
            if open_items:
                _learn_and_measure(method, open_items, plan, work, progress)
    return {
        method.name: {
            item: json.loads(_file(work, method, item).read_text()) for item in plan.items
        }
        for method in METHODS
    }


def _keep_plan(plan: Plan, work: Path) -> None:
    described = {name: getattr(plan, name) for name in ("steps", "seed", "anchor", "alpha")}
    file = work / "plan.json"
    if not file.exists():
        file.write_text(json.dumps(described) + "\n")
    found = json.loads(file.read_text())
    if found != described:
        raise RunError(
            f"{work} holds another experiment ({found}); give another --work, or remove it"
        )


def _learn_and_measure(
    method: Method, items: list[tuple[str, int]], plan: Plan, work: Path, progress: Progress
) -> None:
    shapes = [load_shape(name, held_out) for name, held_out in items]
    torch.manual_seed(plan.seed)
    networks = [method.network(plan.anchor, plan.alpha) for _ in shapes]
    trainer = SideBySide(networks, _loss(method), Pace(plan.steps))
    kept = work / f"{method.name}_{'_'.join(f'{n}-{h}' for n, h in items)}.safetensors"
    spent_s = _resume(trainer, kept)
    batches = _batches(shapes, method, plan, trainer.done)
    began = saved = time.monotonic()
    losses = torch.zeros(len(shapes))
    while trainer.done < plan.steps:
        losses = trainer.step(next(batches))
        now = time.monotonic()
        if now - saved > SAVE_S:
            _save(trainer, kept, spent_s + now - began)
            saved = now
        left = (plan.steps - trainer.done) / max(trainer.done, 1) * (spent_s + now - began)
        progress.show(
            f"{method.title}: {shapes[0].name} … {shapes[-1].name}, step {trainer.done}, loss "
            f"{float(losses.mean()):.4f}, {duration(left)} left of these",
            trainer.done / plan.steps,
        )
    train_s = (spent_s + time.monotonic() - began) / len(shapes)
    for number, (item, shape) in enumerate(zip(items, shapes, strict=True)):
        networks[number].load_state_dict(trainer.weights_of(number))
        progress.show(f"{method.title}: measuring {shape.name}")
        measures, way = measure(networks[number], shape)
        save_file(trainer.weights_of(number), _file(work, method, item).with_suffix(".safetensors"))
        _write(_file(work, method, item), measures.as_dict(), way, train_s)
        progress.say(
            f"{method.title:18} {shape.name:16} velocity error {measures.velocity_error:.3f}, DTW "
            f"{measures.dtw:.3f}, {measures.arrived} of {measures.starts} arrive, violations "
            f"{'-' if measures.violations is None else measures.violations}"
        )
    kept.unlink(missing_ok=True)


def _loss(method: Method) -> Any:
    def loss(flow: Flow, window: Tensor) -> Tensor:
        found = terms(flow, window, STRIDE / (STEPS - 1), method.alignment)
        return weighted(found, method.alignment)

    return loss


def _batches(shapes: list[Shape], method: Method, plan: Plan, done: int) -> Iterator[Tensor]:
    """(networks, BATCH, H + 2, 2): each network's from its own shape; a step's follow from its
    number alone, so that nothing has to be kept to go on."""
    count = method.alignment.steps + 2
    windows = [Windows(shape.tracks, count, STRIDE) for shape in shapes]
    while True:
        draws = np.random.default_rng([plan.seed, done])
        part = draws.random(BATCH)
        yield torch.from_numpy(np.stack([one[(part * len(one)).astype(int)] for one in windows]))
        done += 1


def _save(trainer: SideBySide, file: Path, spent_s: float) -> None:
    new = file.with_name(f".{file.name}.new")
    save_file({**trainer.state(), "spent_s": torch.tensor(spent_s)}, new)
    new.replace(file)


def _resume(trainer: SideBySide, file: Path) -> float:
    """Seconds that were spent before."""
    if not file.exists():
        return 0.0
    state = load_file(file)
    trainer.resume(state)
    return float(state["spent_s"])


def _file(work: Path, method: Method, item: tuple[str, int]) -> Path:
    return work / f"{method.name}_{item[0]}_{item[1]}.json"


def _write(file: Path, measures: dict[str, Any], way: np.ndarray, train_s: float) -> None:
    stride = max(len(way) // WAY_POINTS, 1)
    data = {"measures": measures, "train_s": train_s, "way": way[::stride].round(4).tolist()}
    new = file.with_name(f".{file.name}.new")
    new.write_text(json.dumps(data) + "\n")
    new.replace(file)
