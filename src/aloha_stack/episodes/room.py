"""How long a recording still fits on the disk, from what its streams were measured to bring."""

from collections import deque
from dataclasses import dataclass, field

from aloha_stack.episodes.folder import GIB

WINDOW_NS = 10_000_000_000
LEAST_NS = 500_000_000
"""ROS time below which a rate is not known."""


@dataclass
class ByteRate:
    """Bytes per second of ROS time, over the last ten seconds."""

    _seen: deque[tuple[int, int]] = field(default_factory=deque)

    def saw(self, now_ns: int, total: int) -> None:
        """Notes that `total` bytes had come by now. Time that runs backwards begins anew."""
        if self._seen and (now_ns < self._seen[-1][0] or total < self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((now_ns, total))
        while now_ns - self._seen[0][0] > WINDOW_NS:
            self._seen.popleft()

    @property
    def per_s(self) -> float | None:
        """None as long as too little was seen, or nothing came."""
        if not self._seen:
            return None
        (first_ns, first), (last_ns, last) = self._seen[0], self._seen[-1]
        if last_ns - first_ns < LEAST_NS or last == first:
            return None
        return (last - first) / ((last_ns - first_ns) * 1e-9)


@dataclass(frozen=True)
class Room:
    """What is free on the disk, what of it has to stay free, and what a second takes (bytes)."""

    free_gib: float
    reserve_gib: float
    per_s: float | None

    @property
    def seconds(self) -> float | None:
        """For how long it lasts; None while nobody knows what a second takes."""
        if self.per_s is None:
            return None
        return max(0.0, self.free_gib - self.reserve_gib) * GIB / self.per_s

    def shortage(self, duration_s: float) -> str:
        """Why `duration_s` more do not fit, in words; empty if they do, or if it is not known."""
        seconds = self.seconds
        if seconds is None or self.per_s is None or duration_s <= seconds:
            return ""
        return (
            f"{duration_s:g} s take {duration_s * self.per_s / GIB:.2f} GiB at "
            f"{self.per_s * 1e-6:.1f} MB/s, but with {self.free_gib:.2f} GiB free (of which "
            f"{self.reserve_gib:.2f} GiB stay free) there is room for {minutes(seconds)}; make "
            "room on the disk, choose another directory or a shorter duration"
        )

    def __str__(self) -> str:
        seconds = self.seconds
        return "" if seconds is None else f"room for {minutes(seconds)}"


def minutes(seconds: float) -> str:
    """12 s, 1.5 min, 90 min, 5 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds > 7200:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.{1 if seconds < 600 else 0}f} min"
