"""Joints in the range that recurrent networks are trained in: each from its least to its greatest.

Source: ogata-lab/eipl 1.1.1 (bounds for each joint; there to 0 … 1). Bounds are those of training
episodes alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aloha_stack.policies.normalisation import NormalisationError, Normaliser

STILL = 1e-6
"""A joint that moved less than this has a range of 1: what is 0 wide cannot be divided by."""


def min_max(
    statistics: Mapping[str, Any], names: Sequence[str], value_range: tuple[float, float]
) -> Normaliser:
    """(x - minimum) / (maximum - minimum), stretched to `value_range`, and back; from {"names",
    "minimum", "maximum"}. Raises NormalisationError for other columns than `names`, or no numbers.
    """
    found = statistics.get("names")
    if found is not None and list(found) != list(names):
        raise NormalisationError(f"bounds of {found}, expected those of {list(names)}")
    try:
        low, high = (np.asarray(statistics[key], np.float64) for key in ("minimum", "maximum"))
    except (KeyError, TypeError, ValueError) as error:
        raise NormalisationError(f"no usable minimum and maximum: {error!r}") from error
    if low.shape != (len(names),) or high.shape != (len(names),):
        raise NormalisationError(f"bounds of {low.shape}, {high.shape}; expected ({len(names)},)")
    wrong = [
        n
        for n, fine in zip(names, np.isfinite(high - low) & (high >= low), strict=True)
        if not fine
    ]
    if wrong:
        raise NormalisationError(f"minimum and maximum of {', '.join(wrong)} are no bounds")
    first, last = value_range
    span = np.where(high - low < STILL, 1.0, high - low) / (last - first)
    return Normaliser(low - first * span, span)
