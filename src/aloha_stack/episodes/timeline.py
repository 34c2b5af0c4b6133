"""Which part of a recording's time counts: from its beginning to its end, without the pauses."""

from dataclasses import dataclass, field

Pause = tuple[int, int | None]
"""[begin, end] in ns of ROS time; the end is None while the pause lasts."""


@dataclass
class Timeline:
    """The times of one recording, ns of ROS time. Time that runs backwards counts as none."""

    began_ns: int
    ended_ns: int | None = None
    _pauses: list[Pause] = field(default_factory=list)

    @property
    def pauses(self) -> tuple[Pause, ...]:
        """All pauses up to now."""
        return tuple(self._pauses)

    @property
    def paused(self) -> bool:
        """Whether a pause lasts."""
        return bool(self._pauses) and self._pauses[-1][1] is None

    @property
    def counts_since_ns(self) -> int:
        """When the stretch that is being recorded began: the beginning, or the last resume."""
        ends = [end for _, end in self._pauses if end is not None]
        return ends[-1] if ends else self.began_ns

    def pause(self, now_ns: int) -> bool:
        """Begins a pause; False if there is one, or if the recording has ended."""
        if self.paused or self.ended_ns is not None:
            return False
        self._pauses.append((now_ns, None))
        return True

    def resume(self, now_ns: int) -> bool:
        """Ends the pause; False if there is none."""
        if not self.paused:
            return False
        begin, _ = self._pauses[-1]
        self._pauses[-1] = (begin, max(begin, now_ns))
        return True

    def end(self, now_ns: int) -> None:
        """The first end counts; a pause that lasts ends with it."""
        if self.ended_ns is None:
            self.resume(now_ns)
            self.ended_ns = now_ns

    def recorded_s(self, now_ns: int) -> float:
        """Seconds that were recorded up to now."""
        until = now_ns if self.ended_ns is None else self.ended_ns
        paused = sum(max(0, (until if end is None else end) - begin) for begin, end in self._pauses)
        return max(0, until - self.began_ns - paused) * 1e-9
