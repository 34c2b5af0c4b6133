"""How long a bus is listened to, and on whom no more time is spent."""

from collections.abc import Iterable, Sequence

from aloha_stack.dynamixel.debts import Debts
from aloha_stack.dynamixel.port import REPLY_TIMEOUT_MS

START_S = REPLY_TIMEOUT_MS / 1000
"""How long the first answer may take: the adapter or the machine may be late, not a servo."""
SILENCE_S = 0.008
"""A bus on which nothing was heard for so long after some answers has no more to say (measured:
3 ms gave 2 % spurious time-outs, 8 ms none)."""
QUIET_S = 0.003
"""How long to listen on where nothing more is expected, but somebody is missing."""
GIVEN_UP_AFTER = 3
"""Readings in a row without a sign of life."""

_NOBODY: frozenset[int] = frozenset()


class Patience:
    """Time-outs in s, and the servos that are known to be silent; shared by all who read a bus.

    `slack_s` comes on top of every time: what the adapter keeps bytes back for. `debts` are the
    answers that did not come, or not whole: they may come late, in front of the next; `late` once
    one did so.
    """

    def __init__(self) -> None:
        self.slack_s = 0.0
        self.debts = Debts()
        self.late = False
        self._silences: dict[int, int] = {}

    def reset(self, latency_timer_ms: int = 1) -> None:
        """Nothing is known of the servos; the times above are right for an adapter with 1 ms."""
        self.slack_s = max(0, latency_timer_ms - 1) / 1000
        self._silences.clear()
        self.debts.forget()
        self.late = False

    def heard(self, ids: Iterable[int]) -> None:
        """A sign of life, be it a damaged one, came from these servos."""
        if self._silences:
            for servo_id in ids:
                self._silences.pop(servo_id, None)

    def silent(self, ids: Iterable[int]) -> None:
        """These were asked, and nothing came."""
        for servo_id in ids:
            self._silences[servo_id] = self._silences.get(servo_id, 0) + 1

    def given_up(self, ids: Sequence[int]) -> frozenset[int]:
        """Those of `ids` for which no time is spent on waiting any more."""
        if not self._silences:
            return _NOBODY
        return frozenset(i for i in ids if self._silences.get(i, 0) >= GIVEN_UP_AFTER)
