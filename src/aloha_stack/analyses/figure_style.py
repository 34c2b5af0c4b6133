"""The look of the figures of all analyses of recurrent policies."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aloha_stack.analysis.plots import INK

DPI = 120


def figure(width_in: float, height_in: float) -> Figure:
    """An empty one, white."""
    made = Figure(figsize=(width_in, height_in), facecolor="white")
    FigureCanvasAgg(made)
    return made


def titled(made: Figure, text: str, below: str) -> None:
    """What is seen, and how to read it."""
    height = made.get_size_inches()[1]
    made.text(0.02, 1 - 0.32 / height, text, fontsize=13, color=INK)
    made.text(0.02, 1 - 0.56 / height, below, fontsize=9.5, color=INK)


def saved(made: Figure, path: Path) -> Path:
    """As PNG. Raises OSError."""
    made.savefig(path, dpi=DPI)
    return path
