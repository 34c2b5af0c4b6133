"""Demonstrations as curves that end at the goal, and windows of them for learning.

A track is (T, dim), evenly spaced in time, in the network's units; its last point is x = 0. After
its end it stays there: a policy has to, too.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from aloha_stack.training.dataset import Sample


class TrackError(ValueError):
    """A demonstration that no flow to a goal can be learnt from."""


STANDS = 0.005
"""Part of a track's extent within which its beginning does not move yet."""


def trimmed(track: np.ndarray) -> np.ndarray:
    """Without the time before it moves and after it has come to its end: what stands still away
    from the goal (frames that are there twice, a hand that hesitates) contradicts every flow."""
    size = STANDS * float(np.linalg.norm(track.max(axis=0) - track.min(axis=0)))
    begun = np.flatnonzero(np.linalg.norm(track - track[0], axis=1) > size)
    open_end = np.flatnonzero(np.linalg.norm(track - track[-1], axis=1) > size)
    if size == 0 or not len(begun):
        raise TrackError("it never moves")
    first, last = max(int(begun[0]) - 1, 0), min(int(open_end[-1]) + 2, len(track))
    return track[first:last]


class Windows:
    """Stretches of tracks: `count` points, `stride` apart, from any point of any track."""

    def __init__(self, tracks: Sequence[np.ndarray], count: int, stride: int = 1) -> None:
        """Raises TrackError for a track without two points, or with numbers that are none."""
        for number, track in enumerate(tracks):
            if track.ndim != 2 or len(track) < 2 or track.shape[1] != tracks[0].shape[1]:
                raise TrackError(
                    f"track {number}: expected two points or more of {tracks[0].shape[1]} numbers, "
                    f"found {track.shape}"
                )
            if not np.isfinite(track).all():
                raise TrackError(f"track {number} has numbers that are none (NaN or infinite)")
        self._points = np.concatenate(tracks).astype(np.float32)
        lengths = np.array([len(track) for track in tracks])
        self._end = np.repeat(np.cumsum(lengths), lengths)
        self._steps = stride * np.arange(count)
        self.track_of = np.repeat(np.arange(len(tracks)), lengths)
        """(N,) the number of each starting point's track."""

    def __len__(self) -> int:
        return len(self._points)

    def __getitem__(self, starts: np.ndarray | Sequence[int]) -> np.ndarray:
        """(B, count, dim) float32 from these points on; beyond a track's end its last again."""
        begin = np.asarray(starts)
        wanted = begin[:, None] + self._steps
        return self._points[np.minimum(wanted, self._end[begin, None] - 1)]


class TrackDataset(Dataset[Sample]):
    """Windows (H + 2, dim) from every point of every motion; no pictures, no state."""

    def __init__(self, tracks: Sequence[np.ndarray], count: int, stride: int) -> None:
        self._windows = Windows(tracks, count, stride)

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def episode_of(self) -> np.ndarray:
        """(N,) the number of each item's motion."""
        return self._windows.track_of

    def __getitem__(self, index: int | Sequence[int]) -> Sample:
        many = isinstance(index, Sequence)
        window = torch.from_numpy(self._windows[np.atleast_1d(index)])
        empty = torch.empty((len(window), 0, 1, 1, 3), dtype=torch.uint8)
        batch = {"window": window, "images": empty, "state": torch.zeros(len(window), 0)}
        return batch if many else {key: value[0] for key, value in batch.items()}
