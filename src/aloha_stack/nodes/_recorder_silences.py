"""Streams that fall silent during a recording: it goes on, but nobody may miss it."""

import math
from dataclasses import dataclass
from typing import Any

from aloha_stack.episodes.recording import Recording
from aloha_stack.nodes._recorder_taps import Tap, Taps

NOTED_S = 3.0
"""Steady time of silence from which on it is noted in the episode, and makes it incomplete."""

BACK_S = 10.0
"""Steady time for which it is told that a stream is back."""


@dataclass
class _Silence:
    seconds: float
    back_s: float = math.inf  # when it was heard again, steady time


class Silences:
    """Watches the required streams of a recording. Steady time, but only while ROS time runs: in
    a world that stands still there is nothing to be heard. Pauses do not count."""

    def __init__(self, logger: Any, taps: Taps, told_after_s: float) -> None:
        self._logger, self._taps, self._told_after_s = logger, taps, told_after_s
        self._known: dict[str, _Silence] = {}
        self._since_s = 0.0

    def begin(self, now_s: float) -> None:
        """A recording begins or goes on after a pause: silence counts from now."""
        self._since_s = now_s
        self._known.clear()

    def look(self, recording: Recording, now_s: float, now_ns: int) -> None:
        """To be called often while the recording is not paused."""
        since_ns = recording.timeline.counts_since_ns
        for tap in self._taps.all:
            if not tap.stream.required:
                continue
            silent_s = now_s - max(tap.heard_s, self._since_s)
            if silent_s < self._told_after_s:
                self._heard(tap, now_s, recording)
            elif now_ns - max(tap.heard_ns, since_ns) >= 1e8:
                self._silent(tap, silent_s, recording)

    def words(self, now_s: float) -> list[str]:
        """What the operator should know."""
        found = []
        for name, silence in self._known.items():
            if silence.back_s == math.inf:
                found.append(f"nothing from {name} for {silence.seconds:.0f} s: recording goes on")
            elif now_s - silence.back_s < BACK_S:
                found.append(f"{name} is back after {silence.seconds:.1f} s of silence")
        return found

    def _silent(self, tap: Tap, seconds: float, recording: Recording) -> None:
        name = tap.stream.name
        known = self._known.get(name)
        if known is None or known.back_s != math.inf:
            self._known[name] = known = _Silence(seconds)
            self._logger.warning(
                f"{name} is silent for {seconds:.1f} s: {recording.path.name} goes on without it; "
                "check its camera or bridge"
            )
        known.seconds = seconds
        if seconds >= NOTED_S:
            recording.silent(name, seconds)

    def _heard(self, tap: Tap, now_s: float, recording: Recording) -> None:
        known = self._known.get(tap.stream.name)
        if known is not None and known.back_s == math.inf:
            known.back_s = now_s
            self._logger.info(
                f"{tap.stream.name} is back after {known.seconds:.1f} s of silence; "
                f"{recording.path.name} goes on with it"
            )
