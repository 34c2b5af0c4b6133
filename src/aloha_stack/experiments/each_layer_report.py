"""The each-layer experiment as a report: each-layer.md, each-layer.png, each-layer.json."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.analyses.figure_style import figure, saved, titled
from aloha_stack.analysis.plots import INK, plain
from aloha_stack.analysis.success import wilson
from aloha_stack.experiments.pick_place_models import Model
from aloha_stack.experiments.pick_place_run import Budget
from aloha_stack.experiments.pick_place_trials import kept, successes
from aloha_stack.experiments.pick_place_words import compared, counted, losses, mean, table

PUBLISHED = {
    ("MLP", "conventional"): (16, 55),
    ("MLP", "each-layer"): (44, 55),
    ("spatial softmax", "conventional"): (13, 55),
    ("spatial softmax", "each-layer"): (52, 55),
}
"""Of arXiv 2401.09691, on a robot; counts follow from its rates and 55 trials."""
COLOURS = {"conventional": "#b9770e", "wider": "#7d6608", "each-layer": "#1f618d"}


@dataclass(frozen=True)
class Cell:
    """One policy of the experiment."""

    encoder: str
    kind: str
    rate_hz: int
    seed: int
    model: Model


@dataclass(frozen=True)
class Found:
    """What is there of a cell."""

    cell: Cell
    training: dict[str, Any] | None
    trials: list[dict[str, Any]]
    feature_to_joints: float | None


def write_report(cells: Sequence[Cell], budget: Budget, work: Path, out: Path) -> Path:
    """Of what is there; gives the Markdown's path."""
    found = [_found(cell, budget, work) for cell in cells]
    out.mkdir(parents=True, exist_ok=True)
    raw = {"budget": vars(budget), "policies": [_raw(one) for one in found]}
    (out / "each-layer.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    _draw(found, out / "each-layer.png")
    file = out / "each-layer.md"
    file.write_text("\n".join(_markdown(found, budget)) + "\n", encoding="utf-8")
    return file


def _found(cell: Cell, budget: Budget, work: Path) -> Found:
    folder = cell.model.folder(work)
    attribution = folder / "attribution.json"
    trials = [one for file in folder.glob("*.jsonl") for one in kept(file).values()]
    trials.sort(key=lambda trial: trial["seed"])
    return Found(
        cell,
        cell.model.training(work),
        trials[: budget.trials],
        json.loads(attribution.read_text())["feature_to_joints"] if attribution.exists() else None,
    )


def _raw(one: Found) -> dict[str, Any]:
    won, of = successes(one.trials)
    return {
        **{name: getattr(one.cell, name) for name in ("encoder", "kind", "rate_hz", "seed")},
        "changes": list(one.cell.model.changes),
        "training": one.training,
        "successes": won,
        "trials": of,
        "failed_seeds": [trial["seed"] for trial in one.trials if not trial["success"]],
        "feature_to_joints": one.feature_to_joints,
    }


def _markdown(found: Sequence[Found], budget: Budget) -> list[str]:
    rates = sorted({one.cell.rate_hz for one in found}, reverse=True)
    lines = [
        "# Does the image feature in every layer make a policy see?",
        "",
        f"Pick and place in the twin (simulated), the cube anywhere on its line; "
        f"{budget.demonstrations} demonstrations, {budget.steps} steps of learning a policy, "
        f"{budget.seeds} training seed{'s' * (budget.seeds > 1)}, {budget.trials} trials each in "
        "worlds that no demonstration is of. `./aloha experiment each-layer` makes this report; "
        "[each-layer.json](each-layer.json) has the raw counts.",
        "",
        "Success: trials won, the rate and its 95 % interval (Wilson). Feature/joints: what the "
        "image feature moves by what the joints of now move (mean |∂y/∂x| σ(x)/σ(y), summed over "
        "joints told; `./aloha analyse attribution`). *Wider* is the conventional network with as "
        "many weights as each-layer.",
        "",
    ]
    for rate_hz in rates:
        lines += [f"## At {rate_hz} Hz", "", *_rows(found, rate_hz), ""]
    lines += ["## What each-layer input changes", "", *_claims(found, rates), ""]
    lines += ["![success and attribution](each-layer.png)", "", "## Not run", "", *_missing(found)]
    return [*lines, *_missing_trials(found, budget)]


def _rows(found: Sequence[Found], rate_hz: int) -> list[str]:
    head = ["encoder", "network", "weights", "success", "feature/joints", "steps learnt"]
    head += ["validation", "paper, on a robot"]
    rows = []
    for encoder, kind in _groups(found):
        group = _group(found, encoder, kind, rate_hz)
        done = [one.training for one in group if one.training]
        published = PUBLISHED.get((encoder, kind))
        rows.append(
            [
                encoder,
                kind,
                f"{done[0]['weights']}" if done else "-",
                counted(*_count(group)),
                mean(_ratios(group), ".3f"),
                mean([one["steps"] for one in done], ".0f"),
                losses(done),
                counted(*published) if published else "-",
            ]
        )
    return table(head, rows)


def _claims(found: Sequence[Found], rates: Sequence[int]) -> list[str]:
    rows = []
    for encoder in dict.fromkeys(encoder for encoder, _ in _groups(found)):
        for rate_hz in rates:
            each = _group(found, encoder, "each-layer", rate_hz)
            for kind in ("conventional", "wider"):
                other = _group(found, encoder, kind, rate_hz)
                ratios = [mean(_ratios(group), ".3f") for group in (other, each)]
                rows.append(
                    [
                        encoder,
                        f"{rate_hz} Hz",
                        f"beside {kind}",
                        compared(_count(each), _count(other)),
                        f"{ratios[0]} to {ratios[1]}",
                    ]
                )
    return table(["encoder", "rate", "", "success", "feature/joints"], rows)


def _missing(found: Sequence[Found]) -> list[str]:
    names = [one.cell.model.name for one in found if one.training is None]
    return [f"- not trained: {name}" for name in names] or ["- every policy was trained"]


def _missing_trials(found: Sequence[Found], budget: Budget) -> list[str]:
    return [
        f"- {one.cell.model.name}: {budget.trials - len(one.trials)} of {budget.trials} trials"
        for one in found
        if one.training is not None and len(one.trials) < budget.trials
    ]


def _groups(found: Sequence[Found]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.cell.encoder, one.cell.kind) for one in found))


def _group(found: Sequence[Found], encoder: str, kind: str, rate_hz: int) -> list[Found]:
    """All seeds."""
    wanted = (encoder, kind, rate_hz)
    return [one for one in found if (one.cell.encoder, one.cell.kind, one.cell.rate_hz) == wanted]


def _count(group: Sequence[Found]) -> tuple[int, int]:
    return successes([trial for one in group for trial in one.trials])


def _ratios(group: Sequence[Found]) -> list[float]:
    return [one.feature_to_joints for one in group if one.feature_to_joints is not None]


def _draw(found: Sequence[Found], file: Path) -> None:
    rates = sorted({one.cell.rate_hz for one in found}, reverse=True)
    encoders = list(dict.fromkeys(encoder for encoder, _ in _groups(found)))
    made = figure(10.5, 4.4)
    success, ratio = made.subplots(1, 2)
    places = [(encoder, rate_hz) for encoder in encoders for rate_hz in rates]
    for number, (kind, colour) in enumerate(COLOURS.items()):
        at = np.arange(len(places)) + 0.27 * (number - 1)
        groups = [_group(found, encoder, kind, rate_hz) for encoder, rate_hz in places]
        counts = [_count(group) for group in groups]
        rate = np.array([won / of if of else np.nan for won, of in counts])
        bounds = np.array([wilson(won, of) if of else (np.nan, np.nan) for won, of in counts])
        away = np.abs(bounds.T - rate)
        success.bar(at, 100 * rate, 0.25, color=colour, label=kind)
        success.errorbar(at, 100 * rate, 100 * away, fmt="none", ecolor=INK, capsize=3, lw=1)
        ratios = [np.mean(values) if (values := _ratios(group)) else np.nan for group in groups]
        ratio.bar(at, ratios, 0.25, color=colour)
    labels = [f"{encoder}\n{rate_hz} Hz" for encoder, rate_hz in places]
    for axis, name in ((success, "success, %"), (ratio, "image feature by joints")):
        plain(axis)
        axis.set_xticks(range(len(places)), labels, fontsize=9)
        axis.set_ylabel(name, fontsize=10, color=INK)
    success.set_ylim(0, 104)
    made.subplots_adjust(0.07, 0.14, 0.985, 0.82, wspace=0.2)
    made.legend(loc="upper right", ncols=3, frameon=False, fontsize=9.5)
    titled(made, "Image feature into each layer", "bars: 95 % intervals of the rate (Wilson)")
    saved(made, file)
