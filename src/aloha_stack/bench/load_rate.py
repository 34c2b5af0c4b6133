"""How many samples a second a loader gives, once it runs."""

import time
from collections.abc import Iterator
from typing import Any

import cv2
from torch.utils.data import DataLoader, Dataset

from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.sampling import SeededSampler, loader

BATCH = 8
"""ACT's."""
ENOUGH = 1_000_000
"""Samples of an epoch: no measurement comes to its end."""
WARM_UP = 2 + 2 * 2
"""Batches that are thrown away: those that workers have made ahead when the first is asked for."""


def samples_per_second(batches: Iterator[dict[str, Any]], seconds: float) -> float:
    """Draws batches for a while."""
    for _ in range(WARM_UP):
        next(batches)
    count, began = 0, time.perf_counter()
    while True:
        count += len(next(batches)["state"])
        passed = time.perf_counter() - began
        if passed > seconds:
            return count / passed


def our_batches(dataset: EpisodeDataset, workers: int, seed: int) -> Iterator[dict[str, Any]]:
    """Random batches as training draws them here."""
    sampler = SeededSampler(dataset, seed=seed, count=ENOUGH)
    return iter(loader(dataset, sampler, BATCH, workers))


def peer_batches(dataset: Dataset[Any], workers: int) -> Iterator[dict[str, Any]]:
    """Random batches by torch's own means, over and over."""
    batches = DataLoader(
        dataset, BATCH, shuffle=True, num_workers=workers, worker_init_fn=_one_thread
    )
    while True:
        yield from batches


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(0)
