"""Pictures for benches and tests: what a camera sees, as far as JPEG and copies are concerned.

A drifting texture, coloured shapes that move over it, and the noise of a sensor. At 640x480 and
quality 92 a frame has some 80 kB; a flat drawing would have 10, and flatter whatever carries it.
"""

import os
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np

from aloha_stack.cameras.jpeg import encode

NOISE = 3.0
"""Standard deviation of the sensor's noise, of 255."""

SHAPES = 12


def footage(
    folder: Path,
    count: int = 150,
    width: int = 640,
    height: int = 480,
    quality: int = 92,
    seed: int = 0,
) -> Path:
    """A folder of `count` JPEG files 0000.jpg, 0001.jpg, … in `folder`; no two are equal.

    The same arguments give the same pictures. What is there already is not made again, and what
    was interrupted is never taken for finished.
    """
    made = folder / f"footage_{width}x{height}_q{quality}_n{count}_s{seed}"
    if made.is_dir():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix="footage_", dir=folder))
    try:
        scene = _Scene(width, height, np.random.default_rng(seed))
        for index in range(count):
            (unfinished / f"{index:04d}.jpg").write_bytes(encode(scene.picture(index), quality))
        try:
            os.rename(unfinished, made)
        except OSError:  # another process has made the same meanwhile
            if not made.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return made


class _Scene:
    """A texture and shapes, and where they are in each picture."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._size = np.array([width, height])
        self._texture = _texture(width, height, rng)
        self._noise = np.rint(rng.normal(0.0, NOISE, (2 * height, 2 * width, 3))).astype(np.int16)
        self._from = rng.uniform(0, self._size, (SHAPES, 2))
        self._speed = rng.uniform(-6, 6, (SHAPES, 2))  # pixels a picture
        self._radius = rng.uniform(0.03, 0.12, SHAPES) * height
        self._colour = rng.uniform(30, 225, (SHAPES, 3))

    def picture(self, index: int) -> np.ndarray:
        """(height, width, 3) uint8, BGR; to be asked for in order: the noise is drawn anew."""
        width, height = (int(length) for length in self._size)
        drawn = np.roll(self._texture, (index, 2 * index), axis=(0, 1))
        centres = (self._from + index * self._speed) % self._size
        for shape, (x, y) in enumerate(centres):
            radius = int(self._radius[shape])
            colour = tuple(float(part) for part in self._colour[shape])
            if shape % 2:
                cv2.circle(drawn, (int(x), int(y)), radius, colour, -1)
            else:
                corner = (int(x) + radius, int(y) + radius)
                cv2.rectangle(drawn, (int(x) - radius, int(y) - radius), corner, colour, -1)
        top, left = self._rng.integers(0, (height, width))
        noise = self._noise[top : top + height, left : left + width]
        return np.clip(drawn + noise, 0, 255).astype(np.uint8)


def _texture(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) uint8: random patches of every size, coarse ones the strongest."""
    total = np.full((height, width, 3), 128.0, np.float32)
    for cell, strength in ((128, 40.0), (32, 22.0), (8, 12.0), (2, 7.0)):
        cells = (max(2, height // cell), max(2, width // cell), 3)
        patches = rng.normal(0.0, strength, cells).astype(np.float32)
        total += cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255).astype(np.uint8)
