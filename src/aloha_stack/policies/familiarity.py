"""Policies that can tell how far what they see is from what they were taught."""

import math
from typing import Protocol, runtime_checkable

from aloha_stack.policies.policy import Policy


@runtime_checkable
class Comparing(Protocol):
    """A policy that compares each observation with its demonstrations."""

    @property
    def distance(self) -> float:
        """Of the last observation to the nearest; in the policy's own measure."""


def distance_of(policy: Policy) -> float:
    """NaN for a policy that does not compare."""
    return policy.distance if isinstance(policy, Comparing) else math.nan


def strange(distance: float, most: float) -> str:
    """Why what is seen must not be acted on; empty if it may, or `most` is no limit (0, infinite or
    NaN), or nothing was compared (NaN)."""
    if not 0 < most < math.inf or not distance > most:
        return ""
    return (
        f"nothing like what is seen was demonstrated: its distance to the nearest is "
        f"{distance:.3g}, at most {most:g} is acted on"
    )
