"""Mean, spread and range of states and actions, for normalisation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.joint_numbers import NAMES
from aloha_stack.training.store import EpisodeStore

STD_FLOOR = 0.01
"""tonyzhaozh/act's: a joint that hardly moves would blow its noise up to unit size."""


@dataclass(frozen=True)
class Statistics:
    """Of n numbers each, float32 (n,). `std` is at least STD_FLOOR; `still` names those below."""

    names: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    count: int  # steps
    still: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "names": list(self.names),
            **{key: getattr(self, key).tolist() for key in _ARRAYS},
            "count": self.count,
            "still": list(self.still),
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Statistics":
        """The reverse."""
        arrays = {key: np.array(data[key], np.float32) for key in _ARRAYS}
        return Statistics(
            names=tuple(data["names"]), count=data["count"], still=tuple(data["still"]), **arrays
        )


_ARRAYS = ("mean", "std", "minimum", "maximum")


def statistics(store: EpisodeStore) -> dict[str, Statistics]:
    """Of "state" and "action" over every step of a store, which is to be the training split's."""
    states = [one.state for one in store.episodes]
    actions = [one.action for one in store.episodes]
    return {
        "state": describe(states, store.settings.state_names),
        "action": describe(actions, NAMES),
    }


def describe(parts: Sequence[np.ndarray], names: Sequence[str]) -> Statistics:
    """Of the rows of all `parts` (T, n). Raises EpisodeError for numbers that are none."""
    values = np.concatenate(parts).astype(np.float64)
    bad = [name for name, column in zip(names, values.T, strict=True) if not _finite(column)]
    if bad or not len(values):
        raise EpisodeError(
            f"no statistics: {', '.join(bad)} has numbers that are none (NaN or infinite)"
            if bad
            else "no statistics: there is no step"
        )
    std = values.std(axis=0)
    return Statistics(
        names=tuple(names),
        mean=values.mean(axis=0).astype(np.float32),
        std=np.maximum(std, STD_FLOOR).astype(np.float32),
        minimum=values.min(axis=0).astype(np.float32),
        maximum=values.max(axis=0).astype(np.float32),
        count=len(values),
        still=tuple(name for name, s in zip(names, std, strict=True) if s < STD_FLOOR),
    )


def _finite(column: np.ndarray) -> bool:
    return bool(np.isfinite(column).all())
