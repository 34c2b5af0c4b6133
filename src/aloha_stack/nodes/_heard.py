"""What was heard of somebody: the last message and its age, and how fast a counter grows."""

import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Message = TypeVar("Message")


@dataclass
class Voice(Generic[Message]):
    """The last message of somebody. What is too old is not shown as if it were so still."""

    limit_s: float
    message: Message | None = None
    heard_s: float = -math.inf

    def hear(self, message: Message) -> None:
        """Takes the message; the time is that of its arrival, steady."""
        self.message, self.heard_s = message, time.monotonic()

    @property
    def age_s(self) -> float:
        """Steady time since the last message; infinite if there was none."""
        return time.monotonic() - self.heard_s

    @property
    def now(self) -> Message | None:
        """What it says; None if it says nothing any more."""
        return self.message if self.age_s <= self.limit_s else None

    @property
    def absence(self) -> str:
        """Why there is nothing to show."""
        return "missing" if self.message is None else f"silent for {self.age_s:.0f} s"


@dataclass
class Pace:
    """A counter's growth per second of ROS time, over the last two seconds."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def saw(self, count: int, now_s: float) -> None:
        """Notes the counter at `now_s`. A counter or a time that runs backwards begins anew."""
        if self._seen and (now_s < self._seen[-1][0] or count < self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((now_s, count))
        while now_s - self._seen[0][0] > 2.0:
            self._seen.popleft()

    @property
    def hz(self) -> float:
        """NaN while it is not known."""
        if len(self._seen) < 2:
            return math.nan
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else math.nan
