"""Where the pictures of steps come from: the episodes themselves, or a cache (`cache.py`)."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.scaled import Size, decode_at
from aloha_stack.policies.sight import Sight
from aloha_stack.training.episode import TrainingEpisode

OPEN_FILES = 128
"""Of one process: well below the usual limit of 1024."""


class Frames(Protocol):
    """Gives the pictures of a step, and can be sent to other processes."""

    def read(self, episode: int, step: int, out: np.ndarray) -> None:
        """Fills `out` (cameras, height, width, 3) uint8, RGB. Raises EpisodeError."""


class RecordedFrames:
    """Decodes the recorded pictures at the size that is asked for, of which `sight` may be seen."""

    def __init__(
        self, episodes: Sequence[TrainingEpisode], size: Size, sight: Sight | None = None
    ) -> None:
        self._episodes, self._size = tuple(episodes), size
        self._sight = sight
        self._whole = None if sight is None else np.empty((*size, 3), np.uint8)
        self._files = OpenFiles()

    def read(self, episode: int, step: int, out: np.ndarray) -> None:
        """As Frames says."""
        frame = self._episodes[episode].frame[step]
        for camera, index in enumerate(self._episodes[episode].cameras):
            picture = int(frame[camera])
            data = self._files.read(
                index.path, int(index.offset[picture]), int(index.size[picture])
            )
            try:
                whole = out[camera] if self._whole is None else self._whole
                decode_at(index.encoding, data, self._size, (index.height, index.width), whole)
            except ValueError as error:
                raise EpisodeError(
                    f"{index.path}: picture {picture} of {index.topic} is damaged: {error}"
                ) from error
            if self._sight is not None:
                out[camera] = self._sight.see(camera, whole)


class OpenFiles:
    """Files that are read here and there; the least used are closed again.

    Reads are `pread`, which moves no position: descriptors may be shared with forked processes.
    Sent to another process by pickling, it opens its own.
    """

    def __init__(self, most: int = OPEN_FILES) -> None:
        self._most = most
        self._open: OrderedDict[Path, int] = OrderedDict()

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """`size` bytes at `offset`. Raises EpisodeError if they are not there."""
        try:
            data = os.pread(self._descriptor(path), size, offset)
        except OSError as error:
            raise EpisodeError(f"{path} cannot be read: {error.strerror}") from error
        if len(data) != size:
            raise EpisodeError(f"{path} became shorter: read the episodes again")
        return data

    def close(self) -> None:
        """Closes all of them."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _descriptor(self, path: Path) -> int:
        descriptor = self._open.get(path)
        if descriptor is None:
            if len(self._open) >= self._most:
                os.close(self._open.popitem(last=False)[1])
            descriptor = self._open[path] = os.open(path, os.O_RDONLY)
        else:
            self._open.move_to_end(path)
        return descriptor

    def __getstate__(self) -> dict[str, Any]:
        return {"_most": self._most, "_open": OrderedDict()}

    def __del__(self) -> None:
        self.close()
