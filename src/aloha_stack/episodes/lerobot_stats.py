"""The statistics that LeRobot normalises by: of an episode, and of all together.

min, max, mean, std, count and the quantiles 1, 10, 50, 90 and 99 %. Pictures: per channel, in 0 …
1, shape (3, 1, 1), from some pictures of an episode and some of their pixels. (Source: lerobot
v0.4.4, datasets/compute_stats.py; its quantiles of all episodes are the mean of theirs, weighted
by count.)
"""

from collections.abc import Mapping

import numpy as np

Stats = dict[str, np.ndarray]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_SMALL = 150  # px, about the shorter side that is left of a large picture
_LARGE = 300  # px


def column_stats(values: np.ndarray) -> Stats:
    """Of numbers (T, k), each (k,)."""
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
    return {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0, dtype=np.float64),
        "std": values.std(axis=0, dtype=np.float64),
        "count": np.array([len(values)]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def sampled(count: int) -> np.ndarray:
    """Which of `count` pictures to look at: some 100 of a short episode, count^0.75 of a long."""
    most = max(min(count, 100), min(int(count**0.75), 10_000))
    return np.unique(np.round(np.linspace(0, count - 1, most)).astype(np.int64))


class PictureStats:
    """Collects pictures (height, width, 3) uint8."""

    def __init__(self) -> None:
        self._histogram = np.zeros((3, 256), np.int64)
        self._count = 0

    def add(self, picture: np.ndarray) -> None:
        """Looks at every n-th pixel of a large one."""
        height, width = picture.shape[:2]
        step = max(1, min(height, width) // _SMALL) if max(height, width) >= _LARGE else 1
        pixels = picture[::step, ::step]
        for channel in range(3):
            self._histogram[channel] += np.bincount(pixels[:, :, channel].ravel(), minlength=256)
        self._count += 1

    def stats(self) -> Stats:
        """Of all that was added, at least one picture."""
        levels = np.arange(256) / 255.0
        total = self._histogram.sum(axis=1)
        mean = self._histogram @ levels / total
        variance = self._histogram @ levels**2 / total - mean**2
        seen = self._histogram > 0
        cumulative = self._histogram.cumsum(axis=1)
        found = {
            "min": levels[seen.argmax(axis=1)],
            "max": levels[255 - seen[:, ::-1].argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0.0)),
        }
        for name, quantile in QUANTILES.items():
            below = cumulative < (quantile * total)[:, None]
            found[name] = levels[np.minimum(below.sum(axis=1), 255)]
        shaped = {name: value.reshape(3, 1, 1) for name, value in found.items()}
        return {**shaped, "count": np.array([self._count])}


class TotalStats:
    """The statistics of all episodes, from those of each; keeps no episode."""

    def __init__(self) -> None:
        self._total: dict[str, Stats] = {}

    def add(self, episode: Mapping[str, Stats]) -> None:
        """Takes in an episode's statistics by feature."""
        for name, stats in episode.items():
            known = self._total.get(name)
            self._total[name] = dict(stats) if known is None else _merged(known, stats)

    def as_lists(self) -> dict[str, dict[str, object]]:
        """For JSON."""
        return {
            name: {key: value.tolist() for key, value in stats.items()}
            for name, stats in self._total.items()
        }


def _merged(a: Stats, b: Stats) -> Stats:
    count = a["count"] + b["count"]
    share = b["count"][0] / count[0]
    mean = a["mean"] + share * (b["mean"] - a["mean"])
    variance = (1 - share) * (a["std"] ** 2 + (a["mean"] - mean) ** 2)
    variance = variance + share * (b["std"] ** 2 + (b["mean"] - mean) ** 2)
    return {
        "min": np.minimum(a["min"], b["min"]),
        "max": np.maximum(a["max"], b["max"]),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": count,
        **{name: a[name] + share * (b[name] - a[name]) for name in QUANTILES},
    }
