"""Training samples as other stacks read them, from the same steps: torch datasets for a DataLoader.

Each gives what ours gives: pictures uint8, the state, a chunk of actions and its padding mask.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import h5py
import numpy as np
import torch
from torch.utils.data import Dataset

from aloha_stack.bench.load_data import video_of
from aloha_stack.bench.load_video import VideoFrames
from aloha_stack.training.dataset import Sample

Size = tuple[int, int]


class Hdf5Samples(Dataset[Sample]):
    """ALOHA HDF5, as tonyzhaozh/act and act-plus-plus read it: opened for each sample, pictures
    decompressed with cv2.imdecode, actions padded; then resized, if they are to be smaller."""

    def __init__(
        self, files: Sequence[Path], cameras: Sequence[str], size: Size, chunk: int
    ) -> None:
        self._files, self._cameras, self._size, self._chunk = files, cameras, size, chunk
        self._places = []
        for number, path in enumerate(files):
            with h5py.File(path, "r") as file:
                self._places += [(number, step) for step in range(len(file["/action"]))]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        number, step = self._places[index]
        with h5py.File(self._files[number], "r") as file:
            compressed = file.attrs["compress"]
            state = file["/observations/qpos"][step]
            action = file["/action"][step : step + self._chunk]
            images = [file[f"/observations/images/{camera}"][step] for camera in self._cameras]
        if compressed:
            images = [cv2.imdecode(image, cv2.IMREAD_COLOR) for image in images]
        return _sample(
            [_resized(image, self._size) for image in images], state, action, self._chunk
        )


class VideoSamples(Dataset[Sample]):
    """LeRobot v3 video by PyAV. State and actions are in memory, which LeRobot's are not."""

    def __init__(
        self,
        lerobot: Path,
        episodes: Sequence[tuple[np.ndarray, np.ndarray]],
        cameras: Sequence[str],
        size: Size,
        chunk: int,
        fps: int = 50,
    ) -> None:
        """`episodes` are states and actions, (T, 14) each."""
        self._frames = VideoFrames([video_of(lerobot, camera) for camera in cameras], fps)
        self._cameras, self._size, self._chunk = cameras, size, chunk
        self._episodes = episodes
        self._places = [
            (number, step)
            for number, (state, _) in enumerate(episodes)
            for step in range(len(state))
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        number, step = self._places[index]
        state, action = self._episodes[number]
        images = [self._frames.frame(video, index) for video in range(len(self._cameras))]
        return _sample(
            [_resized(image, self._size) for image in images],
            state[step],
            action[step : step + self._chunk],
            self._chunk,
        )


def _resized(image: np.ndarray, size: Size) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def _sample(
    images: Sequence[np.ndarray], state: np.ndarray, action: np.ndarray, chunk: int
) -> Sample:
    padded = np.zeros((chunk, action.shape[1]), np.float32)
    padded[: len(action)] = action
    return {
        "images": torch.from_numpy(np.stack(images)),
        "state": torch.from_numpy(state.astype(np.float32)),
        "action": torch.from_numpy(padded),
        "is_pad": torch.arange(chunk) >= len(action),
    }
