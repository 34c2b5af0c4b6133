"""In what order samples are drawn, and the loader that draws them."""

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Sampler

from aloha_stack.training.dataset import EpisodeDataset, Sample
from aloha_stack.training.sequences import SequenceDataset
from aloha_stack.training.tracks import TrackDataset

STEP, EPISODE = "step", "episode"


class SeededSampler(Sampler[int]):
    """Indices of a dataset, shuffled anew in each epoch by its seed and the epoch's number.

    `by` "step": every item once an epoch, so that long episodes count for more. `by` "episode":
    every episode once, at a random item of its own, so that all count alike (the recipe of ACT).
    With `count` an epoch has so many indices, from as many rounds as it takes. Of several processes
    that train together each gives its `rank` and their number: they share an epoch's indices, in
    turns and without overlap; what does not go round is left out.
    """

    def __init__(
        self,
        dataset: EpisodeDataset | SequenceDataset | TrackDataset,
        by: str = STEP,
        seed: int = 0,
        count: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Raises ValueError for what cannot be."""
        if by not in (STEP, EPISODE):
            raise ValueError(f"samples are drawn by {STEP} or {EPISODE}, not by {by!r}")
        if count is not None and count < 1:
            raise ValueError(f"an epoch of {count} samples; at least one is needed")
        if not 0 <= rank < ranks:
            raise ValueError(f"rank {rank} is none of {ranks} processes, which count from 0")
        self._by, self._seed = by, seed
        episode_of = dataset.episode_of
        self._first = np.flatnonzero(np.diff(episode_of, prepend=-1))
        self._items = np.diff([*self._first, len(episode_of)])
        self._round = len(episode_of) if by == STEP else len(self._first)
        self._count = (count or self._round) // ranks
        if not self._count:
            raise ValueError(f"{count or self._round} samples are too few for {ranks} processes")
        self._rank, self._ranks = rank, ranks
        self.epoch, self._drawn = 0, 0

    def __len__(self) -> int:
        return self._count

    def set_epoch(self, epoch: int, drawn: int = 0) -> None:
        """The epoch that the next iteration gives, without the `drawn` indices that it began with:
        so training goes on where it was interrupted, and not only with a whole epoch."""
        if epoch < 0 or not 0 <= drawn <= self._count:
            raise ValueError(f"epoch {epoch} from index {drawn} on; it has {self._count}")
        self.epoch, self._drawn = epoch, drawn

    def __iter__(self) -> Iterator[int]:
        order = self._order(np.random.default_rng([self._seed, self.epoch]))
        first = self._rank + self._drawn * self._ranks
        self.epoch, self._drawn = self.epoch + 1, 0
        return islice(order, first, self._count * self._ranks, self._ranks)

    def _order(self, rng: np.random.Generator) -> Iterator[int]:
        while True:
            yield from self._shuffled(rng).tolist()

    def _shuffled(self, rng: np.random.Generator) -> np.ndarray:
        order = rng.permutation(self._round)
        if self._by == STEP:
            return order
        return self._first[order] + rng.integers(self._items[order])


def loader(
    dataset: EpisodeDataset | SequenceDataset | TrackDataset,
    sampler: Sampler[int],
    batch: int,
    workers: int = 0,
    drop_last: bool = False,
    pin_memory: bool = False,
) -> DataLoader[Sample]:
    """Batches of `dataset` in the order of `sampler`, the same with any number of workers.

    A worker fills a whole batch in memory that it shares with this process.
    """
    return DataLoader(
        dataset,
        batch_size=None,  # the dataset makes batches itself, from lists of indices
        sampler=BatchSampler(sampler, batch, drop_last),
        num_workers=workers,
        pin_memory=pin_memory,
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(0),  # else each pass would draw from torch's own
    )


def _one_thread(worker: int) -> None:
    """Workers are what runs side by side; OpenCV's threads would only be in their way."""
    cv2.setNumThreads(0)
