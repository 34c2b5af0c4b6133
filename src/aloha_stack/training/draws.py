"""Random numbers as a function of seed and step: nothing about them has to be saved to resume."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Draws:
    """Of one step. Several processes draw for the whole batch, and each keeps its own rows."""

    seed: int
    step: int
    rank: int = 0
    ranks: int = 1

    def normal(self, purpose: int, rows: int, *shape: int) -> np.ndarray:
        """Standard normal numbers (rows, *shape) float32; each `purpose` has its own."""
        whole = self._rng(purpose).standard_normal((rows * self.ranks, *shape), np.float32)
        return whole[self.rank :: self.ranks]

    def uniform(self, purpose: int, rows: int, *shape: int) -> np.ndarray:
        """Numbers in -1 … 1, (rows, *shape) float64."""
        whole = self._rng(purpose).uniform(-1.0, 1.0, (rows * self.ranks, *shape))
        return whole[self.rank :: self.ranks]

    @property
    def own_seed(self) -> int:
        """For what draws from torch's own generator (dropout); another one in each process."""
        sequence = np.random.SeedSequence([self.seed, self.step, self.rank])
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.step, purpose])
