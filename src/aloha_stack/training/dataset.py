"""Steps of episodes as torch samples: what is seen, and the chunk of actions that follows."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from aloha_stack.training.store import EpisodeStore

Sample = dict[str, torch.Tensor]


class EpisodeDataset(Dataset[Sample]):
    """One sample a step that is learnt from.

    An index gives a sample, a list of them a batch (one dimension more):

    | key | shape, type | |
    |---|---|---|
    | `images` | (cameras, height, width, 3) uint8 | RGB; `permute(0, 3, 1, 2)` is channels-last |
    | `state` | (14 per part of the state,) float32 | |
    | `action` | (chunk, 14) float32 | action[k] belongs to the step k later |
    | `is_pad` | (chunk,) bool | beyond the segment's end: the last action again |
    | `episode`, `step` | () int64 | number in the store, step among those of the episode |
    | `skew_s`, `age_s` | (cameras,), (streams,) float32 | with `timing` |

    Nothing is drawn at random here: the order comes from a sampler, so that a seed gives the same
    batches with any number of workers.
    """

    def __init__(self, store: EpisodeStore, chunk: int = 100, timing: bool = False) -> None:
        """Raises ValueError for a chunk without an action."""
        if chunk < 1:
            raise ValueError(f"a chunk of {chunk} actions; at least one is needed")
        self.store, self.chunk, self.timing = store, chunk, timing

    def __len__(self) -> int:
        return len(self.store)

    @property
    def episode_of(self) -> np.ndarray:
        """(N,) the number of each item's episode."""
        return np.repeat(np.arange(len(self.store.episodes)), np.diff(self.store.first))

    def __getitem__(self, index: int | Sequence[int]) -> Sample:
        """Raises EpisodeError for a picture that cannot be read or decoded."""
        if isinstance(index, Sequence):
            return self._batch(index)
        return {key: values[0] for key, values in self._batch([index]).items()}

    def _batch(self, indices: Sequence[int]) -> Sample:
        places = [self.store.locate(index) for index in indices]
        images = empty_images((len(places), *self.store.picture_shape))
        for out, (episode, step) in zip(images.numpy(), places, strict=True):
            self.store.frames.read(episode, step, out)
        found = [(self.store.episodes[episode], step) for episode, step in places]
        chunks = [chunk_at(one.action, s, int(one.segment_end[s]), self.chunk) for one, s in found]
        batch = {
            "images": images,
            "state": _stack([one.state[step] for one, step in found]),
            "action": _stack([actions for actions, _ in chunks]),
            "is_pad": _stack([is_pad for _, is_pad in chunks]),
            "episode": torch.tensor([episode for episode, _ in places]),
            "step": torch.tensor([step for _, step in places]),
        }
        if self.timing:
            batch["skew_s"] = _stack([one.skew_s[step] for one, step in found])
            batch["age_s"] = _stack([one.age_s[step] for one, step in found])
        return batch


def chunk_at(action: np.ndarray, step: int, end: int, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """Actions (chunk, 14) from `step` on, the last before `end` repeated, and where (chunk,)."""
    wanted = np.arange(step, step + chunk)
    return action[np.minimum(wanted, end - 1)], wanted >= end


def empty_images(shape: tuple[int, ...]) -> torch.Tensor:
    """Memory for pictures; a worker's is shared, so that a batch reaches the trainer uncopied."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    # As torch's own default_collate does; share_memory_() would copy what is still empty.
    storage = torch.UntypedStorage._new_shared(int(np.prod(shape)))
    flat = torch.empty(0, dtype=torch.uint8).set_(storage)  # type: ignore[call-overload]
    return flat.view(shape)


def _stack(rows: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(rows))
