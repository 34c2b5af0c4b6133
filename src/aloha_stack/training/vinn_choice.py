"""Which k, joint weight and temperature: those whose actions are nearest to demonstrated ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aloha_stack.policies.vinn import neighbour_weights
from aloha_stack.policies.vinn_config import VinnConfig
from aloha_stack.policies.vinn_index import Index
from aloha_stack.policies.vinn_search import Neighbours, find, search_of
from aloha_stack.training.dataset import chunk_at
from aloha_stack.training.store import EpisodeStore

USUAL = 99.0
"""Per cent of validation observations that the usual distance is no less than."""


@dataclass(frozen=True)
class Candidates:
    """What is chosen from."""

    neighbours: tuple[int, ...]
    joint_weights: tuple[float, ...]
    temperatures: tuple[float, ...]


@dataclass(frozen=True)
class Trial:
    """Mean absolute error of chunks, in units of each joint's standard deviation."""

    neighbours: int
    joint_weight: float
    temperature: float
    error: float
    usual: float  # distance of the nearest that USUAL per cent are within


@dataclass(frozen=True)
class Questions:
    """Steps of validation episodes: what is seen, and what was done."""

    embeddings: np.ndarray  # (n, D)
    joints: np.ndarray  # (n, J)
    actions: np.ndarray  # (n, T, A)
    counts: np.ndarray  # (n, T) bool: no padding


def chosen_steps(store: EpisodeStore, most: int) -> np.ndarray:
    """At most so many, spread evenly."""
    found: np.ndarray = np.unique(np.linspace(0, len(store) - 1, min(most, len(store))).astype(int))
    return found


def questions(
    store: EpisodeStore, steps: np.ndarray, embeddings: np.ndarray, chunk: int
) -> Questions:
    """Of these steps of a store."""
    joints, actions, counts = [], [], []
    for place in steps:
        number, step = store.locate(int(place))
        one = store.episodes[number]
        told, is_pad = chunk_at(one.action, step, int(one.segment_end[step]), chunk)
        joints.append(one.state[step])
        actions.append(told)
        counts.append(~is_pad)
    return Questions(embeddings, np.stack(joints), np.stack(actions), np.stack(counts))


def trials(
    index: Index,
    config: VinnConfig,
    asked: Questions,
    candidates: Candidates,
    tell: Callable[[str, float], None],
) -> list[Trial]:
    """Every combination, the best first; equal ones in the order of fewer neighbours."""
    most = max(candidates.neighbours)
    search = search_of(index.embeddings)
    scale = np.maximum(np.asarray(index.actions).std(axis=0), 0.05).astype(np.float64)
    made: list[Trial] = []
    for number, weight in enumerate(candidates.joint_weights):
        found = []
        for row, (embedding, joints) in enumerate(zip(asked.embeddings, asked.joints, strict=True)):
            part = (number + row / len(asked.joints)) / len(candidates.joint_weights)
            tell("choosing neighbours and weights", part)
            found.append(find(index, search, embedding, joints, weight, most, config.apart))
        errors = _errors(index, config, asked, found, candidates, scale)
        usual = float(np.percentile([one.total[0] for one in found], USUAL))
        made += [Trial(k, weight, t, error, usual) for (k, t), error in errors.items()]
    return sorted(made, key=lambda one: (one.error, one.neighbours))


def _errors(
    index: Index,
    config: VinnConfig,
    asked: Questions,
    found: Sequence[Neighbours],
    candidates: Candidates,
    scale: np.ndarray,
) -> dict[tuple[int, float], float]:
    settings = [
        (k, t)
        for k in candidates.neighbours
        for t in (candidates.temperatures if k > 1 else candidates.temperatures[:1])
    ]
    sums = dict.fromkeys(settings, 0.0)
    for one, wanted, counts in zip(found, asked.actions, asked.counts, strict=True):
        chunks = np.stack([index.chunk(int(row), config.chunk) for row in one.rows])
        for k, temperature in settings:
            weights = neighbour_weights(one.total[:k], temperature)
            mean = np.einsum("k,kta->ta", weights, chunks[:k])
            sums[k, temperature] += float((np.abs(mean - wanted) / scale)[counts].sum())
    total = asked.counts.sum() * scale.size
    return {setting: float(value / total) for setting, value in sums.items()}


def chosen(config: VinnConfig, best: Trial) -> VinnConfig:
    """With what was best."""
    return replace(
        config,
        neighbours=best.neighbours,
        joint_weight=best.joint_weight,
        temperature=best.temperature,
        usual=best.usual,
    )
