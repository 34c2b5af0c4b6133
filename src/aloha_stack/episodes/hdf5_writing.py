"""Writes steps as an ALOHA HDF5 file (layout: `hdf5_layout`), a picture at a time.

In the compressed form a camera's own JPEG is kept byte for byte, its colours right; anything else
is encoded once. `exchanged` writes what ALOHA's own recorders write instead: red and blue
exchanged, so that act-plus-plus, which takes what cv2.imdecode gives for RGB, sees right colours.
That costs a decoding and an encoding of each picture.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from aloha_stack.episodes.commanders import COMMANDERS
from aloha_stack.episodes.hdf5_layout import (
    CAPTURE_NS,
    CODES,
    COLUMNS,
    COMMANDER,
    EXCHANGED,
    IMAGES,
    JOINT_AGE_NS,
    JPEG_COLOURS,
    METHOD,
    STEP_NS,
    TRUE,
)
from aloha_stack.episodes.pictures import encode_jpeg
from aloha_stack.episodes.steps import EpisodeSteps, Pictures, decoded

QUALITY = 95
"""Of what has to be encoded."""

Tell = Callable[[int], None]
"""Told how many pictures more are done."""


def write_hdf5(
    steps: EpisodeSteps,
    path: Path,
    compress: bool = False,
    exchanged: bool = False,
    tell: Tell = lambda pictures: None,
) -> None:
    """Writes one file. Raises EpisodeError for pictures that cannot be read, and OSError."""
    with h5py.File(path, "x", rdcc_nbytes=2 << 20) as file:
        file.attrs["sim"] = steps.robot == "twin"
        file.attrs["compress"] = compress
        file.attrs["fps"] = steps.fps
        file.attrs["task"] = steps.task
        file.attrs["robot"] = steps.robot
        if steps.method:
            file.attrs[METHOD] = steps.method
        file["/action"] = steps.action
        file["/observations/qpos"] = steps.state
        if steps.velocity is not None:
            file["/observations/qvel"] = steps.velocity
        if steps.effort is not None:
            file["/observations/effort"] = steps.effort
        file[COMMANDER] = steps.commander
        file[COMMANDER].attrs[CODES] = list(COMMANDERS)
        file[STEP_NS] = steps.time_ns
        for name, columns in ((CAPTURE_NS, steps.capture_ns), (JOINT_AGE_NS, steps.joint_age_ns)):
            if columns:
                file[name] = np.stack(list(columns.values()), axis=1)
                file[name].attrs[COLUMNS] = list(columns)
        if compress:
            file.attrs[JPEG_COLOURS] = EXCHANGED if exchanged else TRUE
            _write_compressed(file, steps, exchanged, tell)
        else:
            for name, pictures in steps.cameras.items():
                _write_raw(file, name, pictures, len(steps), tell)


def _write_raw(file: h5py.File, name: str, pictures: Pictures, count: int, tell: Tell) -> None:
    shape = (pictures.height, pictures.width, 3)
    data = file.create_dataset(f"{IMAGES}/{name}", (count, *shape), "u1", chunks=(1, *shape))
    for step, picture in enumerate(decoded(pictures, count)):
        data[step] = picture
        tell(1)


def _write_compressed(file: h5py.File, steps: EpisodeSteps, exchanged: bool, tell: Tell) -> None:
    """How wide the rows are is known once all JPEGs are: they wait in a file meanwhile."""
    names, count = sorted(steps.cameras), len(steps)
    lengths = np.zeros((len(names), count), np.int32)
    with tempfile.TemporaryFile(dir=Path(file.filename).parent) as waiting:
        for row, name in enumerate(names):
            for step, jpeg in enumerate(_jpegs(steps.cameras[name], count, exchanged)):
                lengths[row, step] = len(jpeg)
                waiting.write(jpeg)
                tell(1)
        waiting.seek(0)
        padded = int(lengths.max())
        for row, name in enumerate(names):
            data = file.create_dataset(
                f"{IMAGES}/{name}", (count, padded), "u1", chunks=(1, padded)
            )
            for step in range(count):
                jpeg = waiting.read(int(lengths[row, step]))
                data[step] = np.frombuffer(jpeg.ljust(padded, b"\0"), np.uint8)
    file["/compress_len"] = lengths


def _jpegs(pictures: Pictures, count: int, exchanged: bool) -> Iterator[bytes]:
    if not exchanged and pictures.jpeg(0) is not None:
        for step in range(count):
            kept = pictures.jpeg(step)
            assert kept is not None
            yield kept
        return
    for picture in decoded(pictures, count):
        yield encode_jpeg(picture[:, :, ::-1] if exchanged else picture, QUALITY)
