"""What moves the joints that a recurrent policy tells: joints, image, or memory, as a matrix.

Writes attribution.png, a heat map with the columns grouped, and attribution.json with its numbers
(gradients.py says how they are found). Exit status 0, or 1 for a checkpoint or episodes that cannot
be used.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import LogNorm

from aloha_stack.analyses.figure_style import figure, saved, titled
from aloha_stack.analyses.gradients import CELL, GROUPS, HIDDEN, Attribution, Inputs, attribution
from aloha_stack.analyses.recurrent_subject import Subject, Trace, arguments
from aloha_stack.analysis.plots import INK
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.recurrent import Memory
from aloha_stack.progress import Progress

EXAMPLES = """examples:
  ./aloha analyse attribution models/pick --data episodes/pick --out out/attribution
"""
TROUBLE = 1
MOST_NAMED = 40
"""Columns of a group whose names are written below them."""
DARKEST = 1e-3
"""Of the greatest number in the matrix: what is smaller is drawn alike."""


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    options = arguments("attribution", __doc__ or "", EXAMPLES).parse_args(list(argv))
    try:
        found, steps = analyse(options.checkpoint, options.data, Progress(sys.stderr))
        options.out.mkdir(parents=True, exist_ok=True)
        numbers = options.out / "attribution.json"
        numbers.write_text(json.dumps(as_dict(found, steps), indent=1) + "\n", encoding="utf-8")
        picture = draw(found, options.checkpoint.name, steps, options.out / "attribution.png")
    except (PolicyError, EpisodeError, OSError) as error:
        print(f"aloha analyse attribution: {error}", file=sys.stderr)
        return TROUBLE
    print(f"{'':22}" + "".join(f"{group:>15}" for group in GROUPS))
    for row, name in enumerate(found.rows):
        values = "".join(f"{found.of_group(group)[row]:15.3f}" for group in GROUPS)
        print(f"{name:22}{values}")
    print(f"image feature / joints: {found.feature_to_joints:.3f} (over {steps} steps)")
    print(picture, numbers, sep="\n")
    return 0


def analyse(checkpoint: Path, data: Sequence[Path], progress: Progress) -> tuple[Attribution, int]:
    """The matrix, and over how many steps it is a mean. Raises PolicyError, EpisodeError."""
    subject = Subject(checkpoint)
    store = subject.episodes(data, progress)
    traces = [subject.trace(one) for one in subject.sequences(store, progress)]
    inputs = inputs_of(traces)
    if not len(inputs.joints):
        raise EpisodeError("no episode has two steps in a row, and the first has no memory yet")
    return attribution(subject.network, inputs, subject.joint_names), len(inputs.joints)


def inputs_of(traces: Sequence[Trace]) -> Inputs:
    """Of all steps but each episode's first, whose memory is empty."""
    memories = [memory for trace in traces for memory in trace.memories[1:]]
    if not memories:
        none = torch.zeros(0, 1)
        return Inputs(none, none, Memory(none, none))
    lower = zip(*(memory.lower for memory in memories), strict=True)
    return Inputs(
        torch.cat([trace.joints[1:] for trace in traces]),
        torch.cat([trace.features[1:] for trace in traces]),
        Memory(
            torch.cat([memory.hidden for memory in memories]),
            torch.cat([memory.cell for memory in memories]),
            tuple(torch.cat(part) for part in lower),
        ),
    )


def as_dict(found: Attribution, steps: int) -> dict[str, object]:
    """For JSON."""
    return {
        "steps": steps,
        "rows": list(found.rows),
        "columns": list(found.columns),
        "groups": list(found.groups),
        "matrix": found.matrix.tolist(),
        "sum_over_group": {group: found.of_group(group).tolist() for group in GROUPS},
        "feature_to_joints": found.feature_to_joints,
    }


def draw(found: Attribution, name: str, steps: int, path: Path) -> Path:
    """A panel a group, all in one scale."""
    counts = [found.groups.count(group) for group in GROUPS]
    widths = [max(np.sqrt(count), min(0.28 * count, 10.0), 4.0) for count in counts]
    made = figure(13.5, 4.4)
    panels = made.subplots(1, len(GROUPS), sharey=True, width_ratios=widths)
    greatest = max(float(found.matrix.max()), DARKEST)
    scale = LogNorm(DARKEST * greatest, greatest)
    of_column = np.array(found.groups)
    for axis, group, count in zip(panels, GROUPS, counts, strict=True):
        chosen = sorted(np.flatnonzero(of_column == group), key=lambda n: _layer(found.columns[n]))
        shown = np.maximum(found.matrix[:, chosen], DARKEST * greatest)
        image = axis.imshow(shown, norm=scale, cmap="magma", aspect="auto", interpolation="nearest")
        share = float(found.of_group(group).sum() / found.matrix.sum()) if greatest else 0.0
        axis.set_title(f"{group}\n{count} columns, {100 * share:.0f} %", fontsize=10, color=INK)
        places, labels = _ticks([found.columns[column] for column in chosen])
        axis.set_xticks(places, labels, rotation=0 if count > MOST_NAMED else 90)
        axis.tick_params(labelsize=8 if count <= 12 or count > MOST_NAMED else 5.5)
        axis.tick_params(colors=INK, length=0)
    panels[0].set_yticks(range(len(found.rows)), [_short(row) for row in found.rows], fontsize=9)
    made.subplots_adjust(0.1, 0.21, 0.915, 0.74, wspace=0.05)
    bar = made.colorbar(image, cax=made.add_axes((0.925, 0.21, 0.012, 0.53)))
    bar.ax.tick_params(labelsize=8, colors=INK)
    titled(
        made,
        f"What moves the joints that {name} tells",
        f"mean |∂y/∂x| σ(x)/σ(y) over {steps} steps, sums per cent of all; image feature by "
        f"joints: {found.feature_to_joints:.3f}",
    )
    return saved(made, path)


def _ticks(columns: Sequence[str]) -> tuple[list[float], list[str]]:
    """Where names stand below a group's columns: all of few, of a memory its layers."""
    if len(columns) <= MOST_NAMED:
        return [float(n) for n in range(len(columns))], [_short(name) for name in columns]
    layers = [_layer(name) for name in columns]
    places = {layer: np.flatnonzero(np.array(layers) == layer) for layer in dict.fromkeys(layers)}
    return [float(at.mean()) for at in places.values()], [f"layer {layer}" for layer in places]


def _layer(column: str) -> int:
    """Of a column of the memory, hidden_LAYER_NUMBER; 0 of others."""
    group, _, rest = column.partition("_")
    return int(rest.split("_")[0]) if group in (HIDDEN, CELL) else 0


def _short(name: str) -> str:
    return name.removeprefix("right_").removeprefix("feature_")
