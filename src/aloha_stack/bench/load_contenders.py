"""The readers of `./aloha bench load`, ours and the peers', by name."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from torch.utils.data import Dataset

from aloha_stack.bench.load import CACHE, COMPRESSED, JPEG, RAW, VIDEO
from aloha_stack.bench.load_data import LoadData, Show
from aloha_stack.bench.load_peers import Hdf5Samples, VideoSamples
from aloha_stack.bench.load_rate import our_batches, peer_batches, samples_per_second
from aloha_stack.training.cache import cached
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import open_episodes

Rate = Callable[[int, float], float]
"""Samples a second with so many workers, measured for so many seconds."""


class Contenders:
    """Makes the readers of a picture size. As a context, ends what it started."""

    def __init__(self, data: LoadData, chunk: int, show: Show) -> None:
        self._data, self._chunk, self._show = data, chunk, show

    def __enter__(self) -> "Contenders":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def at(self, size: tuple[int, int]) -> dict[str, Rate]:
        """Readers of pictures of this height and width. Raises EpisodeError."""
        data, chunk = self._data, self._chunk
        store = open_episodes(data.episodes, ReadSettings(image_size=size))
        mapped = cached(store, data.cache, lambda what, part: self._show(what))
        arrays = [(one.state, one.action) for one in store.episodes]
        return {
            JPEG: _ours(EpisodeDataset(store, chunk)),
            COMPRESSED: _peer(Hdf5Samples(data.compressed, store.cameras, size, chunk)),
            f"{VIDEO} by PyAV": _peer(
                VideoSamples(data.lerobot, arrays, store.cameras, size, chunk)
            ),
            CACHE: _ours(EpisodeDataset(mapped, chunk)),
            RAW: _peer(Hdf5Samples(data.raw, store.cameras, size, chunk)),
        }


def _ours(dataset: EpisodeDataset) -> Rate:
    return lambda workers, seconds: samples_per_second(
        our_batches(dataset, workers, seed=0), seconds
    )


def _peer(dataset: Dataset[Any]) -> Rate:
    return lambda workers, seconds: samples_per_second(peer_batches(dataset, workers), seconds)
