"""Streams that fall silent during a recording: it goes on, but nobody may miss it."""

import math
from dataclasses import dataclass
from typing import Any

from aloha_stack.episodes.recording import Recording
from aloha_stack.nodes._recorder_taps import GAP_NS, Tap, Taps

NOTED_S = 3.0
"""ROS time of silence from which on it is noted in the episode, and makes it incomplete."""

BACK_S = 10.0
"""Steady time for which it is told that a stream is back."""


@dataclass
class _Silence:
    since_ns: int  # the stamp before it, or the beginning of what is recorded
    seconds: float = 0.0
    back_s: float = math.inf  # when it was heard again, steady time


class Silences:
    """Watches the required streams of a recording. Pauses do not count.

    Whether somebody is silent is a matter of steady time, but only while ROS time runs: in a world
    that stands still there is nothing to be heard. For how long is counted as the episode counts
    it: in ROS time, from stamp to stamp.
    """

    def __init__(self, logger: Any, taps: Taps, told_after_s: float) -> None:
        self._logger, self._taps, self._told_after_s = logger, taps, told_after_s
        self._known: dict[str, _Silence] = {}
        self._longest: dict[str, float] = {}
        self._since_s = 0.0

    def begin(self, now_s: float) -> None:
        """A recording begins."""
        self._longest.clear()
        self.go_on(now_s)

    def go_on(self, now_s: float) -> None:
        """It goes on after a pause: silence counts from now."""
        self._since_s = now_s
        self._known.clear()

    def look(self, recording: Recording, now_s: float, now_ns: int) -> None:
        """To be called often while the recording is not paused."""
        counts_ns = recording.timeline.counts_since_ns
        for tap in self._taps.all:
            if not tap.stream.required:
                continue
            if now_s - max(tap.heard_s, self._since_s) < self._told_after_s:
                self._heard(tap, now_s, recording)
            elif now_ns - max(tap.heard_ns, counts_ns) >= GAP_NS:
                self._silent(tap, max(tap.stamp_ns, counts_ns), now_ns, recording)

    def words(self, now_s: float) -> list[str]:
        """What the operator should know."""
        found = []
        for name, silence in self._known.items():
            if silence.back_s == math.inf:
                found.append(f"nothing from {name} for {silence.seconds:.1f} s: recording goes on")
            elif now_s - silence.back_s < BACK_S:
                found.append(f"{name} is back after {silence.seconds:.2f} s of silence")
        return found

    def _silent(self, tap: Tap, since_ns: int, now_ns: int, recording: Recording) -> None:
        name, seconds = tap.stream.name, (now_ns - since_ns) * 1e-9
        known = self._known.get(name)
        if known is None or known.back_s != math.inf:
            self._known[name] = known = _Silence(since_ns)
            self._logger.warning(
                f"{name} is silent for {seconds:.1f} s: {recording.path.name} goes on without it; "
                "check its camera or bridge"
            )
        known.seconds = seconds
        self._note(name, seconds, recording)

    def _heard(self, tap: Tap, now_s: float, recording: Recording) -> None:
        name = tap.stream.name
        known = self._known.get(name)
        if known is None or known.back_s != math.inf:
            return
        known.back_s = now_s
        if tap.back_ns > known.since_ns:
            known.seconds = (tap.back_ns - known.since_ns) * 1e-9
        self._note(name, known.seconds, recording)
        self._longest[name] = max(known.seconds, self._longest.get(name, 0.0))
        self._logger.info(
            f"{name} is back after {known.seconds:.2f} s of silence; {recording.path.name} goes on "
            "with it"
        )

    def _note(self, name: str, seconds: float, recording: Recording) -> None:
        longest = max(seconds, self._longest.get(name, 0.0))
        if longest >= NOTED_S:
            recording.silent(name, longest)
