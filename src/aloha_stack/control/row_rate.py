"""Chunks of a policy that is slower than the player: rows in between, on the straight line."""

import numpy as np

EVEN = 0.01
"""The share by which rates may be off."""


def rows_between(player_hz: float, rate_hz: float) -> int:
    """How many of the player's ticks go into one row of a policy. Raises ValueError if it is no
    whole number of them."""
    ratio = player_hz / rate_hz
    number = round(ratio)
    if number < 1 or abs(ratio / number - 1) > EVEN:
        raise ValueError(
            f"the policy's rate is {rate_hz:g} Hz; the player plays {player_hz:g} rows per second, "
            "which has to be that or a multiple of it"
        )
    return number


def finer(rows: np.ndarray, number: int) -> np.ndarray:
    """Rows (n, columns) with `number` steps for each one between them: ((n - 1) * number + 1,
    columns)."""
    if number == 1:
        return rows
    place = np.arange((len(rows) - 1) * number + 1) / number
    row = np.minimum(place.astype(np.int64), len(rows) - 2)
    part = (place - row)[:, None]
    between: np.ndarray = (1 - part) * rows[row] + part * rows[row + 1]
    return between
