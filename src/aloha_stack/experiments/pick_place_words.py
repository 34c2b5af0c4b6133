"""Counts, rates and tables as the reports of pick and place have them."""

from collections.abc import Mapping, Sequence
from typing import Any

from aloha_stack.analysis.success import wilson


def counted(won: int, of: int) -> str:
    """As "52/55, 94.5 % (85 … 98)": the rate's 95 % interval after Wilson."""
    if not of:
        return "not run"
    low, high = wilson(won, of)
    return f"{won}/{of}, {100 * won / of:.1f} % ({100 * low:.0f} … {100 * high:.0f})"


def compared(one: tuple[int, int], other: tuple[int, int]) -> str:
    """What may be said of two counts (won, of)."""
    if not one[1] or not other[1]:
        return "not run"
    difference = 100 * (one[0] / one[1] - other[0] / other[1])
    (low, high), (low_other, high_other) = wilson(*one), wilson(*other)
    apart = low > high_other or low_other > high
    sure = "intervals apart" if apart else "intervals overlap"
    return f"{difference:+.1f} points, {sure}"


def mean(values: Sequence[float], form: str) -> str:
    """ "-" of none."""
    return format(sum(values) / len(values), form) if values else "-"


def losses(trainings: Sequence[Mapping[str, Any]]) -> str:
    """The mean of their best validation losses."""
    return mean([one["validation"] for one in trainings if one["validation"] is not None], ".5f")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
