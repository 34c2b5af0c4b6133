"""Whether a task was done, and how sure a rate of successes is."""

import math

from aloha_stack.episodes.metadata import RECORDING
from aloha_stack.episodes.recording import INTERRUPTED
from aloha_stack.episodes.summary import EpisodeSummary

Z_95 = 1.959964
"""Of the normal distribution: 95 % of it lie within."""

LABELS = {"success": True, "failure": False}
CUT_OFF = (RECORDING, INTERRUPTED)
"""Outcomes of episodes that were not ended by anybody."""


def succeeded(summary: EpisodeSummary) -> bool | None:
    """Whether the task's own reward reached its maximum; None if no reward was recorded."""
    if summary.best_reward is None or summary.max_reward is None:
        return None
    return summary.best_reward >= summary.max_reward


def judged_success(summary: EpisodeSummary) -> bool | None:
    """As whoever recorded it labelled it, else by the reward; None where neither is there, or the
    recording ended before the attempt did."""
    if summary.outcome in CUT_OFF:
        return None
    return LABELS.get(summary.outcome, succeeded(summary))


def wilson(successes: int, number: int) -> tuple[float, float]:
    """The 95 % interval of a rate from `successes` of `number` (Wilson 1927):

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    """
    rate, spread = successes / number, Z_95**2 / number
    middle = rate + spread / 2
    half = math.sqrt(spread * rate * (1 - rate) + spread**2 / 4)
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def rate_in_words(successes: int, number: int) -> str:
    """As "7 of 10 succeeded (70 %; 95 % interval 40 to 89 %)"."""
    low, high = wilson(successes, number)
    return (
        f"{successes} of {number} succeeded ({100 * successes / number:.0f} %; "
        f"95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
    )
