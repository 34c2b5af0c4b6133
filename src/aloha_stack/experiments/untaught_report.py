"""The experiment with untaught positions as a report: untaught.md, .png, .json, and a figure of the
memory of each policy, untaught_NAME.png."""

import json
import shutil
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

POINTS = "ABCDE"
COLOURS = ("#1f618d", "#b9770e", "#7fb3d5", "#f0c27b")


@dataclass(frozen=True)
class Cell:
    """One policy of the experiment."""

    title: str
    seed: int
    model: Model


@dataclass(frozen=True)
class Found:
    """What is there of a cell, by condition."""

    cell: Cell
    training: dict[str, Any] | None
    trials: dict[str, list[dict[str, Any]]]
    errors: dict[str, float]


def write_report(
    cells: Sequence[Cell], conditions: Sequence[str], budget: Budget, work: Path, out: Path
) -> Path:
    """Of what is there; gives the Markdown's path."""
    found = [_found(cell, conditions, budget, work) for cell in cells]
    out.mkdir(parents=True, exist_ok=True)
    raw = {"budget": vars(budget), "policies": [_raw(one) for one in found]}
    (out / "untaught.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    _draw(found, conditions, out / "untaught.png")
    pictures = []
    for one in found:
        picture = one.cell.model.folder(work) / "pca.png"
        if one.cell.seed == 0 and picture.exists():
            pictures.append(f"untaught_{one.cell.model.name.removesuffix('_0')}.png")
            shutil.copyfile(picture, out / pictures[-1])
    file = out / "untaught.md"
    text = "\n".join(_markdown(found, conditions, budget, pictures))
    file.write_text(text + "\n", encoding="utf-8")
    return file


def file_name(condition: str) -> str:
    """Of a condition."""
    return condition.replace(",", "_")


def _found(cell: Cell, conditions: Sequence[str], budget: Budget, work: Path) -> Found:
    folder = cell.model.folder(work)
    trials, errors = {}, {}
    for condition in conditions:
        name = file_name(condition)
        of_seed = sorted(kept(folder / f"{name}.jsonl").items())
        trials[condition] = [trial for _, trial in of_seed][: budget.trials]
        error = folder / f"error_{name}.json"
        if error.exists():
            errors[condition] = json.loads(error.read_text())["rms_to_command"]
    return Found(cell, cell.model.training(work), trials, errors)


def _raw(one: Found) -> dict[str, Any]:
    return {
        "policy": one.cell.title,
        "seed": one.cell.seed,
        "changes": [change for change in one.cell.model.changes if "encoder_from" not in change],
        "training": one.training,
        "conditions": {
            condition: {
                "successes": successes(trials)[0],
                "trials": len(trials),
                "by_point": _by_point(trials),
                "rms_to_command": one.errors.get(condition),
            }
            for condition, trials in one.trials.items()
        },
    }


def _by_point(trials: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    """Point of the line to [successes, trials]."""
    points = sorted({trial["position"] for trial in trials})
    return {
        point: list(successes([trial for trial in trials if trial["position"] == point]))
        for point in points
    }


def _markdown(
    found: Sequence[Found], conditions: Sequence[str], budget: Budget, pictures: Sequence[str]
) -> list[str]:
    titles = list(dict.fromkeys(one.cell.title for one in found))
    lines = [
        "# Which policies know what to do between the taught positions?",
        "",
        f"Pick and place in the twin (simulated), taught with {budget.demonstrations} "
        f"demonstrations at A, C and E of the line; {budget.steps} steps of learning a policy "
        "(and as long for the auto-encoder that some begin with), 10 Hz, "
        f"{budget.seeds} training seed{'s' * (budget.seeds > 1)}, {budget.trials} trials in each "
        "condition. Validation episodes, which choose the checkpoint, are of A, C and E alone. "
        "`./aloha experiment untaught` makes this report; [untaught.json](untaught.json) has the "
        "raw counts, by point, too.",
        "",
        "## Success",
        "",
        "Trials won, the rate and its 95 % interval (Wilson). *Taught*: A, C, E; *untaught*: B, D; "
        "*background*: on tables of other colours.",
        "",
        *table(
            ["policy", *conditions],
            [
                [title, *(counted(*_count(found, title, one)) for one in conditions)]
                for title in titles
            ],
        ),
        "",
        "| policy | untaught beside taught |",
        "| --- | --- |",
        *(
            f"| {title} | "
            f"{compared(_count(found, title, 'untaught'), _count(found, title, 'taught'))} |"
            for title in titles
        ),
        "",
        "## Success by position",
        "",
        "Trials won on the table as it was taught; on other tables.",
        "",
        *table(["policy", *POINTS], [_points(found, title) for title in titles]),
        "",
        "## Error of the joints told",
        "",
        "Root mean square from the next command over demonstrations that were not learnt from "
        "(rad, gripper 0 … 1; all seven joints).",
        "",
        *table(
            ["policy", *conditions, "steps learnt", "validation"],
            [_errors(found, title, conditions) for title in titles],
        ),
        "",
        "![success and error](untaught.png)",
        "",
        "## Memory",
        "",
        "Hidden states over demonstrations at all five positions, in their principal components.",
        "",
        *(f"![{name}]({name})" for name in pictures),
        "",
        "## Not run",
        "",
    ]
    return lines + _missing(found, budget)


def _points(found: Sequence[Found], title: str) -> list[str]:
    """Won trials at each point, of all seeds: those with the table as taught; those without."""
    counts: dict[tuple[str, bool], list[int]] = {}
    for one in found:
        if one.cell.title == title:
            for condition, trials in one.trials.items():
                for point, (won, of) in _by_point(trials).items():
                    count = counts.setdefault((point, "background" in condition), [0, 0])
                    count[0] += won
                    count[1] += of
    cells = [
        "; ".join(
            "{}/{}".format(*counts[point, other]) if (point, other) in counts else "-"
            for other in (False, True)
        )
        for point in POINTS
    ]
    return [title, *(cell if cell != "-; -" else "not run" for cell in cells)]


def _errors(found: Sequence[Found], title: str, conditions: Sequence[str]) -> list[str]:
    of_title = [one for one in found if one.cell.title == title]
    done = [one.training for one in of_title if one.training]
    cells = [
        mean([one.errors[condition] for one in of_title if condition in one.errors], ".4f")
        for condition in conditions
    ]
    steps = mean([one["steps"] for one in done], ".0f")
    return [
        title,
        *cells,
        steps,
        losses(done),
    ]


def _missing(found: Sequence[Found], budget: Budget) -> list[str]:
    lines = [f"- not trained: {one.cell.model.name}" for one in found if one.training is None]
    lines += [
        f"- {one.cell.model.name}, {condition}: {budget.trials - len(trials)} of {budget.trials} "
        "trials"
        for one in found
        if one.training is not None
        for condition, trials in one.trials.items()
        if len(trials) < budget.trials
    ]
    return lines or ["- nothing: every policy was trained, and every trial made"]


def _count(found: Sequence[Found], title: str, condition: str) -> tuple[int, int]:
    """Over all seeds."""
    return successes(
        [trial for one in found if one.cell.title == title for trial in one.trials[condition]]
    )


def _draw(found: Sequence[Found], conditions: Sequence[str], file: Path) -> None:
    titles = list(dict.fromkeys(one.cell.title for one in found))
    made = figure(12.0, 4.6)
    success, error = made.subplots(1, 2)
    for number, (condition, colour) in enumerate(zip(conditions, COLOURS, strict=True)):
        at = np.arange(len(titles)) + 0.2 * (number - 1.5)
        counts = [_count(found, title, condition) for title in titles]
        rate = np.array([won / of if of else np.nan for won, of in counts])
        bounds = np.array([wilson(won, of) if of else (np.nan, np.nan) for won, of in counts])
        away = 100 * np.abs(bounds.T - rate)
        success.bar(at, 100 * rate, 0.18, color=colour, label=condition)
        success.errorbar(at, 100 * rate, away, fmt="none", ecolor=INK, capsize=2, lw=1)
        errors = [
            [
                one.errors[condition]
                for one in found
                if one.cell.title == title and condition in one.errors
            ]
            for title in titles
        ]
        error.bar(at, [np.mean(e) if e else np.nan for e in errors], 0.18, color=colour)
    for axis, name in ((success, "success, %"), (error, "error of the joints told")):
        plain(axis)
        labels = [title.replace(" from ", "\nfrom ") for title in titles]
        axis.set_xticks(range(len(titles)), labels, fontsize=8.5)
        axis.set_ylabel(name, fontsize=10, color=INK)
    success.set_ylim(0, 104)
    made.subplots_adjust(0.06, 0.14, 0.985, 0.82, wspace=0.17)
    made.legend(loc="upper right", ncols=4, frameon=False, fontsize=9.5)
    titled(made, "Taught and untaught positions", "bars: 95 % intervals of the rate (Wilson)")
    saved(made, file)
