"""Which seeds are tried: one after the other, as many as are needed and none more."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Attempts:
    """Looks for `wanted` successes among `seeds`; those in `done` have succeeded before.

    A seed is handed out only while successes and seeds under way are fewer than wanted: so what is
    kept does not depend on how many work at it, or how fast.
    """

    wanted: int
    seeds: Sequence[int]
    done: set[int] = field(default_factory=set)
    made: int = 0
    found: int = 0
    failed: list[int] = field(default_factory=list)
    under_way: int = 0

    def __post_init__(self) -> None:
        self._tried = 0

    @property
    def successes(self) -> int:
        """Made now, or found."""
        return self.made + self.found

    @property
    def over(self) -> bool:
        """Whether nothing is left to be waited for."""
        return self.under_way == 0 and (self.successes >= self.wanted or self.exhausted)

    @property
    def exhausted(self) -> bool:
        """Whether every seed that may be trained on was tried."""
        return self._tried >= len(self.seeds)

    def next(self) -> int | None:
        """A seed to try; None if none is needed now, or none is left."""
        while self.successes + self.under_way < self.wanted and not self.exhausted:
            seed = self.seeds[self._tried]
            self._tried += 1
            if seed in self.done:
                self.found += 1
            else:
                self.under_way += 1
                return seed
        return None

    def came(self, seed: int, success: bool) -> None:
        """How the attempt with that seed ended."""
        self.under_way -= 1
        if success:
            self.made += 1
        else:
            self.failed.append(seed)
