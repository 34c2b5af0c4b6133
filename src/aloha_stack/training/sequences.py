"""Whole stretches of episodes as torch samples, for policies with a memory."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch.utils.data import Dataset

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.training.dataset import Sample, empty_images
from aloha_stack.training.store import NAMED, EpisodeStore


class SequenceDataset(Dataset[Sample]):
    """One sample a segment, or a part of one of at most `length` steps; parts of fewer than `least`
    steps are left out.

    An index gives a sequence of L steps, a list of them a batch, padded to the longest:

    | key | shape, type | |
    |---|---|---|
    | `images` | (L, cameras, height, width, 3) uint8 | RGB; padding is 0 |
    | `state` | (L, 14 per part of the state) float32 | padding repeats the last step |
    | `action` | (L, 14) float32 | padding repeats the last step |
    | `is_pad` | (L,) bool | |
    | `episode`, `step` | () int64 | number in the store, first step in the episode |
    """

    def __init__(self, store: EpisodeStore, length: int | None = None, least: int = 1) -> None:
        """Raises ValueError for a length without a step, and EpisodeError, which names them, for
        episodes without a part of `least` steps."""
        if length is not None and length < 1:
            raise ValueError(f"sequences of {length} steps; at least one is needed")
        self.store = store
        self._parts = [
            (episode, first, min(first + (length or end - start), end))
            for episode, one in enumerate(store.episodes)
            for start, end in _segments(one.segment)
            for first in range(start, end, length or end - start)
            if min(first + (length or end - start), end) - first >= least
        ]
        used = {episode for episode, _, _ in self._parts}
        short = [one for number, one in enumerate(store.episodes) if number not in used]
        if short:
            told = ", ".join(f"{one.path} ({len(one)} steps)" for one in short[:NAMED])
            raise EpisodeError(
                f"{len(short)} episodes have no {least} steps in a row, which it takes to learn "
                f"from one: {told}; leave them out"
            )

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def episode_of(self) -> np.ndarray:
        """(N,) the number of each item's episode."""
        return np.array([episode for episode, _, _ in self._parts])

    def __getitem__(self, index: int | Sequence[int]) -> Sample:
        """Raises EpisodeError for a picture that cannot be read or decoded."""
        if isinstance(index, Sequence):
            return self._batch(index)
        return {key: values[0] for key, values in self._batch([index]).items()}

    def _batch(self, indices: Sequence[int]) -> Sample:
        parts = [self._parts[index] for index in indices]
        longest = max(end - first for _, first, end in parts)
        images = empty_images((len(parts), longest, *self.store.picture_shape))
        for out, (episode, first, end) in zip(images.numpy(), parts, strict=True):
            for place, step in enumerate(range(first, end)):
                self.store.frames.read(episode, step, out[place])
            out[end - first :] = 0
        steps = [np.minimum(np.arange(first, first + longest), end - 1) for _, first, end in parts]
        found = [self.store.episodes[episode] for episode, _, _ in parts]
        is_pad = [np.arange(longest) >= end - first for _, first, end in parts]
        states = [one.state[s] for one, s in zip(found, steps, strict=True)]
        actions = [one.action[s] for one, s in zip(found, steps, strict=True)]
        return {
            "images": images,
            "state": torch.from_numpy(np.stack(states)),
            "action": torch.from_numpy(np.stack(actions)),
            "is_pad": torch.from_numpy(np.stack(is_pad)),
            "episode": torch.tensor([episode for episode, _, _ in parts]),
            "step": torch.tensor([first for _, first, _ in parts]),
        }


def _segments(segment: np.ndarray) -> list[tuple[int, int]]:
    """First step, and the step after the last, of each segment."""
    bounds = [0, *(np.flatnonzero(np.diff(segment)) + 1).tolist(), len(segment)]
    return list(pairwise(bounds))
