"""What an operator says with the leaders' grippers: that an episode begins, that it ends.

A handle's opening is 0 where it is closed and 1 where it is open (robot/gripper.py).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aloha_stack.control.teleop import TeleopStage

HANDS_OFF = frozenset({TeleopStage.WAITING, TeleopStage.RAMPING, TeleopStage.MATCHING})
"""Stages from which becoming ENGAGED is the operator's doing: from STOPPED it goes on by itself."""


class Engagement:
    """Notices that teleoperation becomes engaged."""

    def __init__(self) -> None:
        self._apart = False

    def saw(self, stage: int) -> bool:
        """True if the operator has engaged it since the stage before. The first one seen tells
        nothing, nor does an engagement that goes on after a dropout."""
        begins = self._apart and stage == TeleopStage.ENGAGED
        self._apart = stage in HANDS_OFF or (self._apart and not begins)
        return begins


@dataclass(frozen=True)
class HoldSettings:
    """A handle counts as closed from `closed` down, and again as not closed from `released` up;
    from `opened` up it has been open. Looks that are farther apart than `max_gap_s` do not show
    that it was held in between."""

    hold_s: float = 2.0
    closed: float = 0.1
    released: float = 0.2
    opened: float = 0.4
    max_gap_s: float = 0.5


class HeldClosed:
    """All handles held closed, after each of them has been open: the gesture that ends an episode.

    What is not known never counts as closed: a missing sample, or a gap between two looks, begins
    the hold anew.
    """

    def __init__(self, handles: Iterable[str], settings: HoldSettings | None = None) -> None:
        self.settings = settings or HoldSettings()
        self._handles = frozenset(handles)
        self._opened: set[str] = set()
        self._closed: set[str] = set()
        self._since_s: float | None = None
        self._looked_s = -math.inf

    def look(self, now_s: float, openings: Mapping[str, float | None]) -> float | None:
        """When the hold began (s), once it has lasted; else None. `openings` has the fresh opening
        of each handle, None where there is none; times are of one clock."""
        gap_s, self._looked_s = now_s - self._looked_s, now_s
        for handle in self._handles:
            self._see(handle, openings.get(handle))
        held = bool(self._handles) and self._closed == self._opened == self._handles
        if not held or not 0 <= gap_s <= self.settings.max_gap_s:
            self._since_s = None
        if held and self._since_s is None:
            self._since_s = now_s
        if self._since_s is None or now_s - self._since_s < self.settings.hold_s:
            return None
        return self._since_s

    def _see(self, handle: str, opening: float | None) -> None:
        known = opening if opening is not None and math.isfinite(opening) else None
        limit = self.settings.released if handle in self._closed else self.settings.closed
        if known is not None and known <= limit:
            self._closed.add(handle)
        else:
            self._closed.discard(handle)
        if known is not None and known >= self.settings.opened:
            self._opened.add(handle)
