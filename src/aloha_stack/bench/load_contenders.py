"""The readers of `./aloha bench load`, ours and the peers', by name."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from aloha_stack.bench.foreign import PEERS
from aloha_stack.bench.load import CACHE, COMPRESSED, JPEG, RAW, VIDEO
from aloha_stack.bench.load_child import LeRobotChild
from aloha_stack.bench.load_data import LoadData, Show, files_in
from aloha_stack.bench.load_peers import Hdf5Samples, VideoSamples
from aloha_stack.bench.load_rate import BATCH, our_batches, peer_batches, samples_per_second
from aloha_stack.training.cache import cache_files, cached
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import open_episodes


@dataclass(frozen=True)
class Reader:
    """One way to read the steps."""

    rate: Callable[[int, float], float]  # samples/s with so many workers, over so many seconds
    files: Sequence[Path]  # what it reads
    once: bool = False  # is measured in one round only, because it is slow


class Contenders:
    """Makes the readers of a picture size. As a context, ends what it started."""

    def __init__(self, data: LoadData, chunk: int, show: Show) -> None:
        self._data, self._chunk, self._show = data, chunk, show
        self._stack = ExitStack()
        self._child: LeRobotChild | None = None

    def __enter__(self) -> "Contenders":
        if peers := os.environ.get(PEERS):
            self._show("starting lerobot")
            child = LeRobotChild(Path(peers), self._data.lerobot, self._chunk, BATCH)
            self._child = self._stack.enter_context(child)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def at(self, size: tuple[int, int]) -> dict[str, Reader]:
        """Readers of pictures of this height and width. Raises EpisodeError."""
        data, chunk = self._data, self._chunk
        store = open_episodes(data.episodes, ReadSettings(image_size=size))
        mapped = cached(store, data.cache, lambda what, part: self._show(what))
        arrays = [(one.state, one.action) for one in store.episodes]
        compressed = Hdf5Samples(data.compressed, store.cameras, size, chunk)
        raw = Hdf5Samples(data.raw, store.cameras, size, chunk)
        video = VideoSamples(data.lerobot, arrays, store.cameras, size, chunk)
        readers = {
            JPEG: _ours(EpisodeDataset(store, chunk), files_in(*data.episodes)),
            COMPRESSED: _peer(compressed, data.compressed),
            f"{VIDEO} by PyAV": _peer(video, files_in(data.lerobot)),
            CACHE: _ours(EpisodeDataset(mapped, chunk), cache_files(store, data.cache)),
            RAW: _peer(raw, data.raw),
        }
        if self._child is not None:
            rate = self._child.rate_at(size)
            name = f"{VIDEO} by {self._child.name}"
            readers[name] = Reader(rate, files_in(data.lerobot), once=True)
        return readers


def _ours(dataset: EpisodeDataset, files: Sequence[Path]) -> Reader:
    def rate(workers: int, seconds: float) -> float:
        return samples_per_second(our_batches(dataset, workers, seed=0), seconds)

    return Reader(rate, files)


def _peer(dataset: Dataset[Any], files: Sequence[Path]) -> Reader:
    def rate(workers: int, seconds: float) -> float:
        return samples_per_second(peer_batches(dataset, workers), seconds)

    return Reader(rate, files)
