"""The policies of the each-layer experiment, and how each is made and measured."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from aloha_stack.analyses.attribution import analyse, as_dict
from aloha_stack.experiments.each_layer_report import Cell, write_report
from aloha_stack.experiments.pick_place_data import Demonstrations
from aloha_stack.experiments.pick_place_models import Model, write_json
from aloha_stack.experiments.pick_place_run import Budget
from aloha_stack.experiments.pick_place_trials import run_trials
from aloha_stack.progress import Progress

ENCODERS = {
    "MLP": ("network.encoder=mlp", "network.strides=[2, 2, 2]"),
    "spatial softmax": (),
}
KINDS = {
    "conventional": ("network.feature_into=first",),
    "wider": ("network.feature_into=first", "network.matched=true"),
    "each-layer": (),
}
LOOK_S = 0.1
"""In training a picture is seen for so long, at every rate."""
MEASURED = 6
"""Demonstrations, not learnt from, over which the attribution is a mean."""
VARIATION = "range"


def cells(rates_hz: Sequence[int], seeds: int) -> list[Cell]:
    """All policies, in the order in which they are made."""
    return [
        Cell(encoder, kind, rate_hz, seed, _model(encoder, kind, rate_hz, seed))
        for seed, rate_hz, encoder, kind in product(range(seeds), rates_hz, ENCODERS, KINDS)
    ]


def run(planned: Sequence[Cell], budget: Budget, work: Path, out: Path) -> None:
    """Does what is not done yet. Raises ExperimentError, Interrupted."""
    budget.keep(work)
    learnt = Demonstrations("learnt", VARIATION, budget.demonstrations, True, evenly=True)
    data = learnt.made(work, budget.jobs)
    measured = Demonstrations("measured", VARIATION, MEASURED).made(work, budget.jobs)
    progress = Progress()
    for cell in planned:
        model, folder = cell.model, cell.model.folder(work)
        model.train(work, data, budget.steps)
        _attribute(model.checkpoint(work), measured, folder / "attribution.json", progress)
        trials = folder / f"{VARIATION}.jsonl"
        run_trials(model.checkpoint(work), VARIATION, budget.trials, trials, budget.jobs, progress)
        write_report(planned, budget, work, out)


def _attribute(checkpoint: Path, data: Path, file: Path, progress: Progress) -> None:
    """Once."""
    if not file.exists():
        write_json(file, as_dict(*analyse(checkpoint, [data], progress)))


def _model(encoder: str, kind: str, rate_hz: int, seed: int) -> Model:
    look_every = max(round(rate_hz * LOOK_S), 1)
    return Model(
        f"{encoder.replace(' ', '_')}_{kind}_{rate_hz}hz_{seed}",
        "each_layer_lstm",
        "each_layer_lstm",
        (
            f"data.step_hz={rate_hz}",
            f"loss.look_every={look_every}",
            *ENCODERS[encoder],
            *KINDS[kind],
        ),
        seed,
    )
