"""A coloured band over time that says who commanded the followers in a rollout."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from aloha_stack.episodes.commanders import (
    COMMANDERS,
    HUMAN,
    NOBODY,
    POLICY,
    commanders_at,
    counted,
    is_rollout,
)
from aloha_stack.episodes.reader import Episode

TICK_NS = 20_000_000
HEIGHT = 0.05
"""Of the band, as a part of the panel's."""
# Of Okabe and Ito's colours, which colour-blind people tell apart (https://jfly.uni-koeln.de/color/).
COLOURS = {POLICY: "#56B4E9", HUMAN: "#E69F00", NOBODY: "#aab0b8"}


@dataclass(frozen=True)
class Stretch:
    """A time in which one commanded, ns."""

    begin_ns: int
    end_ns: int
    commander: int


def stretches(episode: Episode, start_ns: int, end_ns: int) -> tuple[Stretch, ...]:
    """Who commanded from `start_ns` to `end_ns`, tick by tick; nothing for a demonstration."""
    times = np.arange(start_ns, end_ns, TICK_NS)
    commander = commanders_at(episode.contents(), times)
    if not is_rollout(counted(commander)):
        return ()
    first = np.flatnonzero(np.diff(commander, prepend=-1))
    ends = [*times[first[1:]].tolist(), end_ns]
    return tuple(
        Stretch(int(times[at]), int(end), int(commander[at]))
        for at, end in zip(first, ends, strict=True)
    )


def draw_band(axis: Axes, band: Sequence[Stretch], start_ns: int) -> None:
    """Along the top of a panel whose axis counts s from `start_ns`."""
    for part in band:
        begin, end = ((at - start_ns) * 1e-9 for at in (part.begin_ns, part.end_ns))
        colour = COLOURS[part.commander]
        axis.axvspan(begin, end, 1 - HEIGHT, 1.0, facecolor=colour, linewidth=0.0, zorder=0.8)


def name_band(
    figure: Figure, band: Sequence[Stretch], ink: str, place: tuple[float, float]
) -> None:
    """Says in one line what the colours mean, its upper middle at `place` in the figure."""
    shown = {part.commander for part in band}
    if not shown:
        return
    patches = [Patch(facecolor="none", label="in command:")]
    patches += [
        Patch(facecolor=colour, label=COMMANDERS[commander])
        for commander, colour in COLOURS.items()
        if commander in shown
    ]
    figure.legend(
        handles=patches,
        loc="upper center",
        bbox_to_anchor=place,
        ncols=len(patches),
        columnspacing=1.2,
        handlelength=1.6,
        frameon=False,
        fontsize=10,
        labelcolor=ink,
    )
