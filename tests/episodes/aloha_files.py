"""ALOHA HDF5 files as other recorders write them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import h5py
import numpy as np

THREE = ("cam_high", "cam_low", "cam_left_wrist")


def digest(path: Path) -> str:
    """Of a file, or of all files in a folder."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def foreign(
    path: Path,
    count: int = 12,
    compress: bool = True,
    names: Sequence[str] = THREE,
    size: tuple[int, int] = (64, 48),
) -> np.ndarray:
    """A file as Interbotix/aloha's record_episodes writes it; returns its RGB pictures.

    Camera i has the pictures (count, height, width, 3) rolled by i steps; `size`: width, height.
    """
    rng = np.random.default_rng(1)
    small = rng.integers(0, 255, (count, 6, 8, 3), np.uint8)
    pictures = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_CUBIC) for p in small])
    pictures[:, :, :, 0] //= 3  # little red: exchanged colours would show
    with h5py.File(path, "w") as file:
        file.attrs["sim"], file.attrs["compress"] = False, compress
        rolled = [np.roll(pictures, row, 0) for row in range(len(names))]
        coded = [[cv2.imencode(".jpg", picture)[1] for picture in row] for row in rolled]
        lengths = np.array([[len(jpeg) for jpeg in row] for row in coded])
        for row, name in enumerate(names):
            if compress:
                data = np.zeros((count, lengths.max()), np.uint8)
                for step, jpeg in enumerate(coded[row]):
                    data[step, : len(jpeg)] = jpeg
            else:
                data = rolled[row]
            file[f"/observations/images/{name}"] = data
        for name in ("observations/qpos", "observations/qvel", "observations/effort", "action"):
            file.create_dataset(name, data=rng.uniform(0.1, 0.9, (count, 14)).astype(np.float32))
        if compress:
            file["/compress_len"] = lengths.astype(np.float32)
    return pictures
