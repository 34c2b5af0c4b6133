"""The handwriting experiment as a report: lasa.md, lasa.png, lasa.json (the raw numbers)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aloha_stack.experiments.lasa_data import load_shape
from aloha_stack.experiments.lasa_methods import HIDDEN, LYAPUNOV_HIDDEN, METHODS, WARPS
from aloha_stack.experiments.lasa_runs import BATCH, Plan, Results

COLOURS = {"snds": "#1f618d", "cloning": "#b9770e", "released": "#922b21"}
COLUMNS = 6
UNITS = (
    "Lengths are in units of a shape's largest coordinate, velocities in that over the mean "
    "duration. Starts are drawn from twice the demonstrations' box; one arrives if it ends within "
    "2 % of the box's diagonal after ten durations. Violations are states in which V is not "
    "positive or does not fall as fast as alpha asks for, found at random or by gradient ascent, "
    "and control steps (50 Hz) in which V does not fall as far as it was promised."
)
ERROR_BAR, STEP_BAR_MS = 1.1, 1.0
"""Aims: velocity error beside cloning's; one step of the control loop."""


def write_report(results: Results, plan: Plan, out: Path) -> Path:
    """Writes the three files into `out`; gives the Markdown's path."""
    out.mkdir(parents=True, exist_ok=True)
    raw = {
        "shapes": list(plan.shapes),
        "folds": plan.folds,
        "steps": plan.steps,
        "seed": plan.seed,
        "anchor": plan.anchor,
        "alpha": plan.alpha,
        "results": [
            {
                "method": name,
                "shape": shape,
                "held_out": held_out,
                "train_s": found["train_s"],
                **found["measures"],
            }
            for name, items in results.items()
            for (shape, held_out), found in items.items()
        ],
    }
    (out / "lasa.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    _draw(results, plan, out / "lasa.png")
    file = out / "lasa.md"
    file.write_text(_markdown(results, plan), encoding="utf-8")
    return file


def _markdown(results: Results, plan: Plan) -> str:
    chosen = "one fixed demonstration" if plan.folds == 1 else f"{plan.folds} in turns, one"
    return "\n".join(
        [
            "# Handwriting: a stable policy beside cloning",
            "",
            f"{len(plan.shapes)} LASA shapes; {chosen} of each held out, {plan.steps} steps of "
            f"{BATCH} samples, seed {plan.seed}; SNDS' V anchored by {plan.anchor} and warped by "
            f"{WARPS} layers, alpha {plan.alpha:g} per duration; networks "
            f"{'-'.join(map(str, HIDDEN))}, V {'-'.join(map(str, LYAPUNOV_HIDDEN))}. "
            "`./aloha experiment lasa` makes this report.",
            "",
            UNITS,
            "",
            *_claims(results),
            "",
            *_summary(results),
            "",
            "![ways](lasa.png)",
            "",
            "Grey: demonstrations to learn from; black: the one held out; coloured: what is "
            "written from its start.",
            "",
            *_per_shape(results, plan),
            "",
        ]
    )


def _values(items: dict[Any, dict[str, Any]], name: str) -> list[float]:
    return [float(found["measures"][name]) for found in items.values()]


def _claims(results: Results) -> list[str]:
    own, cloned, released = (results[name] for name in ("snds", "cloning", "released"))
    violations = int(sum(_values(own, "violations")))
    arrived, starts = int(sum(_values(own, "arrived"))), int(sum(_values(own, "starts")))
    ratios = [
        one / other
        for one, other in zip(
            _values(own, "velocity_error"), _values(cloned, "velocity_error"), strict=True
        )
    ]
    dtw, theirs = np.mean(_values(own, "dtw")), np.mean(_values(released, "dtw"))
    near = sum(ratio <= ERROR_BAR for ratio in ratios)
    step_ms = float(np.median(_values(own, "step_ms")))
    rows = (
        ("violations found", f"{violations}", "0", violations == 0),
        ("random starts that arrive", f"{arrived} of {starts}", "all", arrived == starts),
        (
            "mean DTW, beside the released form",
            f"{dtw:.3f}, {theirs:.3f}",
            "no more",
            dtw <= theirs,
        ),
        (
            "velocity error over cloning's, mean",
            f"{np.mean(ratios):.2f} ({near} of {len(ratios)} shapes within the aim)",
            f"≤ {ERROR_BAR:g}",
            bool(np.mean(ratios) <= ERROR_BAR),
        ),
        ("one control step, ms", f"{step_ms:.2f}", f"≤ {STEP_BAR_MS:g}", step_ms <= STEP_BAR_MS),
    )
    table = [f"| {what} | {found} | {aim} | {_mark(good)} |" for what, found, aim, good in rows]
    return ["| SNDS | found | aim | |", "|---|---|---|---|", *table]


def _mark(holds: bool) -> str:
    return "holds" if holds else "missed"


_SHOWN: tuple[tuple[str, Callable[[list[float]], float], str], ...] = (
    ("velocity_error", lambda v: float(np.mean(v)), ".3f"),
    ("dtw", lambda v: float(np.mean(v)), ".3f"),
    ("end_error", lambda v: float(np.mean(v)), ".4f"),
    ("arrived", lambda v: float(np.sum(v)), ".0f"),
    ("violations", lambda v: float(np.sum(v)), ".0f"),
    ("steps_raising", lambda v: float(np.sum(v)), ".0f"),
    ("step_ms", lambda v: float(np.median(v)), ".2f"),
)


def _summary(results: Results) -> list[str]:
    head = (
        "| method | velocity error (mean) | DTW (mean) | end error (mean) | arrived (of "
        f"{sum(_values(results['snds'], 'starts')):.0f}) | violations | steps that raise V | "
        "one step, ms (median) | training a shape, s |"
    )
    rows = [head, "|---" * 9 + "|"]
    for method in METHODS:
        items = results[method.name]
        cells = [method.title]
        for name, together, form in _SHOWN:
            known = [found["measures"][name] for found in items.values()]
            missing = any(value is None for value in known)
            cells.append("-" if missing else format(together(known), form))
        cells.append(f"{np.mean([found['train_s'] for found in items.values()]):.0f}")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _per_shape(results: Results, plan: Plan) -> list[str]:
    titles = [method.title for method in METHODS]
    head = [
        "shape",
        *(f"{what}: {title}" for what in ("velocity error", "DTW") for title in titles),
    ]
    head += ["arrived: SNDS", "arrived: cloning", "arrived: released", "violations: SNDS"]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for item in plan.items:
        found = [results[method.name][item]["measures"] for method in METHODS]
        cells = [item[0] if plan.folds == 1 else f"{item[0]} ({item[1]})"]
        cells += [f"{one['velocity_error']:.3f}" for one in found]
        cells += [f"{one['dtw']:.3f}" for one in found]
        cells += [f"{one['arrived']}" for one in found] + [f"{found[0]['violations']}"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _draw(results: Results, plan: Plan, file: Path) -> None:
    names: Sequence[str] = plan.shapes
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.5 * rows + 0.4), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    first = dict(reversed(plan.items))
    for axis, name in zip(axes, names, strict=False):
        shape = load_shape(name, first[name])
        for track in shape.tracks:
            axis.plot(*track.T, color="0.8", linewidth=1)
        axis.plot(*shape.test.T, color="black", linewidth=1.2)
        for method in METHODS:
            way = np.array(results[method.name][name, first[name]]["way"])
            axis.plot(*way.T, color=COLOURS[method.name], linewidth=1.2, label=method.title)
        low, high = shape.everything
        room = 0.15 * (high - low)
        axis.set_xlim(low[0] - room[0], high[0] + room[0])
        axis.set_ylim(low[1] - room[1], high[1] + room[1])
        axis.set_title(name, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=3, frameon=False)
    figure.savefig(file, dpi=100, bbox_inches="tight")
