"""Where a recurrent policy's memory goes in its episodes: their hidden states in 2-D and 3-D.

Hidden states (not cells) of the last layer over all steps of all episodes, in their principal
components; a line is an episode, its colour where the object lay, a black dot its first step. A
policy that tells positions apart, and has a place for those between, has its lines side by side in
that order. Writes pca.png and pca.json. Source: ogata-lab/eipl (test_pca). Exit status 0, or 1 for
a checkpoint or episodes that cannot be used.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from aloha_stack.analyses.figure_style import figure, saved, titled
from aloha_stack.analyses.recurrent_subject import Subject, arguments
from aloha_stack.analysis.plots import INK, plain
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.world_notes import NotedPosition, noted_position
from aloha_stack.policies.policy import PolicyError
from aloha_stack.progress import Progress

EXAMPLES = """examples:
  ./aloha analyse pca models/pick --data episodes/taught episodes/untaught --out out/pca
"""
TROUBLE = 1
SHOWN = 3
"""Components."""


@dataclass(frozen=True)
class Components:
    """Of rows (N, D): their mean, the first axes, and how much of the variance lies along each."""

    mean: np.ndarray  # (D,)
    axes: np.ndarray  # (SHOWN, D)
    share: np.ndarray  # (SHOWN,) of 1

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(n, D) to (n, SHOWN)."""
        found: np.ndarray = (rows - self.mean) @ self.axes.T
        return found


@dataclass(frozen=True)
class Line:
    """An episode's way."""

    path: Path
    position: NotedPosition | None
    points: np.ndarray  # (T, SHOWN)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    options = arguments("pca", __doc__ or "", EXAMPLES).parse_args(list(argv))
    try:
        components, lines = analyse(options.checkpoint, options.data, Progress(sys.stderr))
        options.out.mkdir(parents=True, exist_ok=True)
        numbers = options.out / "pca.json"
        numbers.write_text(json.dumps(as_dict(components, lines), indent=1) + "\n")
        picture = draw(components, lines, options.checkpoint.name, options.out / "pca.png")
    except (PolicyError, EpisodeError, OSError) as error:
        print(f"aloha analyse pca: {error}", file=sys.stderr)
        return TROUBLE
    shares = ", ".join(f"{100 * share:.1f} %" for share in components.share)
    print(f"{len(lines)} episodes; of the variance of h: {shares}")
    print(picture, numbers, sep="\n")
    return 0


def analyse(
    checkpoint: Path, data: Sequence[Path], progress: Progress
) -> tuple[Components, list[Line]]:
    """Raises PolicyError, EpisodeError."""
    subject = Subject(checkpoint)
    store = subject.episodes(data, progress)
    paths, states = [], []
    for one in subject.sequences(store, progress):
        paths.append(one.path)
        states.append(subject.trace(one).hidden.double().numpy())
    components = components_of(np.concatenate(states))
    return components, [
        Line(path, position_of(path), components(rows))
        for path, rows in zip(paths, states, strict=True)
    ]


def components_of(rows: np.ndarray) -> Components:
    """Of (N, D), by singular values; what there is too little of has axes and shares of 0."""
    mean = rows.mean(axis=0)
    _, values, axes = np.linalg.svd(rows - mean, full_matrices=False)
    kept, share = np.zeros((SHOWN, rows.shape[1])), np.zeros(SHOWN)
    count = min(SHOWN, len(values))
    kept[:count] = axes[:count]
    total = float(np.square(values).sum())
    if total > 0:
        share[:count] = np.square(values[:count]) / total
    return Components(mean, kept, share)


def position_of(path: Path) -> NotedPosition | None:
    """Where the object lay in an episode. Raises EpisodeError for a note that is none."""
    try:
        return noted_position(Episode(path).info)
    except ValueError as error:
        raise EpisodeError(f"{path}: {error}") from error


def as_dict(components: Components, lines: Sequence[Line]) -> dict[str, Any]:
    """For JSON."""
    return {
        "share_of_variance": components.share.tolist(),
        "episodes": [
            {
                "path": str(line.path),
                "position": None if line.position is None else vars(line.position),
                "points": np.round(line.points, 6).tolist(),
            }
            for line in lines
        ],
    }


def draw(components: Components, lines: Sequence[Line], name: str, path: Path) -> Path:
    """Left the first two components, right three."""
    made = figure(13.0, 6.2)
    flat = made.add_axes((0.06, 0.1, 0.4, 0.72))
    deep: Any = made.add_axes((0.48, 0.03, 0.42, 0.82), projection="3d")
    places = [line.position.x_m for line in lines if line.position is not None]
    scale = Normalize(min(places, default=0.0), max(places, default=1.0))
    colours = colormaps["viridis"]
    for number, line in enumerate(lines):
        x, y, z = line.points.T
        colour: Any = f"C{number % 10}"
        if line.position is not None:
            colour = colours(scale(line.position.x_m))
        flat.plot(x, y, "-", color=colour, linewidth=1.2)
        deep.plot(x, y, z, "-", color=colour, linewidth=1.0)
        flat.plot(x[0], y[0], "o", color="black", markersize=5, zorder=5)
        deep.plot(x[:1], y[:1], z[:1], "o", color="black", markersize=5)
        if line.position is not None and line.position.name:
            flat.annotate(line.position.name, (x[-1], y[-1]), fontsize=9, color=INK)
    labels = [f"PC{n + 1} ({100 * share:.1f} %)" for n, share in enumerate(components.share)]
    plain(flat)
    flat.set_xlabel(labels[0], fontsize=10, color=INK)
    flat.set_ylabel(labels[1], fontsize=10, color=INK)
    for axis, label in zip((deep.xaxis, deep.yaxis, deep.zaxis), labels, strict=True):
        axis.set_label_text(label, fontsize=9, color=INK)
        axis.set_tick_params(labelsize=7, colors=INK)
    below = "black: the first step"
    if places:
        bar = made.colorbar(
            ScalarMappable(scale, colours), cax=made.add_axes((0.935, 0.15, 0.012, 0.6))
        )
        bar.set_label("where the object lay, x (m)", fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8, colors=INK)
    else:
        below += "; no episode tells where its object lay, colours tell episodes apart"
    titled(made, f"Hidden states of {name} in {len(lines)} episodes", below)
    return saved(made, path)
