"""The policies of the experiment with untaught positions, and how each is made and measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.analyses import pca
from aloha_stack.analyses.offline import errors
from aloha_stack.analyses.recurrent_subject import Subject
from aloha_stack.experiments.pick_place_data import Demonstrations
from aloha_stack.experiments.pick_place_models import Model, write_json
from aloha_stack.experiments.pick_place_run import Budget
from aloha_stack.experiments.pick_place_trials import run_trials
from aloha_stack.experiments.untaught_report import Cell, file_name, write_report
from aloha_stack.progress import Progress

AUTOENCODER = "cae"
KINDS: Mapping[str, tuple[str, str, str, bool]] = {
    "cnnrnn": ("CNNRNN", "cnnrnn", "cnnrnn", False),
    "cnnrnn_from_cae": ("CNNRNN from a CAE", "cnnrnn", "cnnrnn", True),
    "cnnrnnln": ("CNNRNNLN", "cnnrnn", "cnnrnnln", False),
    "sarnn": ("SARNN", "sarnn", "sarnn", False),
    "cae_rnn": ("CAE-RNN", "cae_rnn", "cae_rnn", True),
}
"""Name to title, policy, recipe, and whether it begins with the seed's auto-encoder."""
CONDITIONS = ("taught", "untaught", "taught,background", "untaught,background")
MEASURED = 6
"""Demonstrations of each condition, not learnt from, over which errors are means."""
RATE_HZ = 10
"""As the published data."""


def cells(names: Sequence[str], seeds: int, work: Path) -> list[Cell]:
    """All policies, in the order in which they are made."""
    return [
        Cell(KINDS[name][0], seed, _model(name, seed, work))
        for seed in range(seeds)
        for name in names
    ]


def run(planned: Sequence[Cell], budget: Budget, work: Path, out: Path) -> None:
    """Does what is not done yet. Raises ExperimentError, Interrupted."""
    budget.keep(work)
    data = Demonstrations("learnt", "taught", budget.demonstrations, True).made(work, budget.jobs)
    measured = {
        condition: Demonstrations(file_name(condition), condition, MEASURED).made(work, budget.jobs)
        for condition in CONDITIONS
    }
    progress = Progress()
    for cell in planned:
        if starts_from_autoencoder(cell.model):
            autoencoder(cell.seed).train(work, data, budget.steps)
        cell.model.train(work, data, budget.steps)
        checkpoint, folder = cell.model.checkpoint(work), cell.model.folder(work)
        for condition, episodes in measured.items():
            _measure(checkpoint, episodes, folder / f"error_{file_name(condition)}.json", progress)
        looks = [measured["taught"], measured["untaught"]]
        _draw_memory(checkpoint, looks, cell.title, folder / "pca.png", progress)
        for condition in CONDITIONS:
            file = folder / f"{file_name(condition)}.jsonl"
            run_trials(checkpoint, condition, budget.trials, file, budget.jobs, progress)
        write_report(planned, CONDITIONS, budget, work, out)


def autoencoder(seed: int) -> Model:
    """That others of the same seed begin with."""
    return Model(f"cae_{seed}", AUTOENCODER, "cae", (), seed)


def starts_from_autoencoder(model: Model) -> bool:
    """Whether one has to be there first."""
    return any(change.startswith("network.encoder_from=") for change in model.changes)


def _model(name: str, seed: int, work: Path) -> Model:
    _, policy, recipe, starts = KINDS[name]
    changes = [f"data.step_hz={RATE_HZ}"]
    if starts:
        changes.append(f"network.encoder_from={autoencoder(seed).checkpoint(work)}")
    return Model(f"{name}_{seed}", policy, recipe, tuple(changes), seed)


def _measure(checkpoint: Path, data: Path, file: Path, progress: Progress) -> None:
    """Once: how far the joints told are from the next command, of each demonstration."""
    if file.exists():
        return
    subject = Subject(checkpoint)
    store = subject.episodes([data], progress)
    rows: list[dict[str, Any]] = []
    for seen in subject.sequences(store, progress):
        told = subject.told(subject.trace(seen))
        rows.append(errors(subject.joint_names, seen, told))
    squares = [row["rms_to_command"] ** 2 for row in rows]
    write_json(file, {"rms_to_command": float(np.sqrt(np.mean(squares))), "episodes": rows})


def _draw_memory(
    checkpoint: Path, data: Sequence[Path], title: str, file: Path, progress: Progress
) -> None:
    """Once."""
    if not file.exists():
        components, lines = pca.analyse(checkpoint, data, progress)
        write_json(file.with_suffix(".json"), pca.as_dict(components, lines))
        pca.draw(components, lines, title, file)
