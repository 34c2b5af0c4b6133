"""VINN: what demonstrations did where they looked most like this.

An observation's embedding and joints are compared with every step of the demonstrations; the k
nearest say what they went on to do, weighted with softmax(-distance / temperature). Sources: Pari
et al. 2021 (arXiv 2112.01511); chunks, and joints in the distance: MarkFzp/act-plus-plus, whose
weights are of unsorted distances, which is wrong for all k but 1.

With `every` above 1 the neighbours are followed for so many steps before others are looked for, for
demonstrations that take turns at every step agree on little; new ones take over smoothly. Then the
policy has a memory. How far the nearest demonstration is, is told at every step: `distance`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies import vinn_index
from aloha_stack.policies.policy import (
    Observation,
    PolicyError,
    PolicySpec,
    check_chunk,
    check_observation,
)
from aloha_stack.policies.step_count import step_of
from aloha_stack.policies.vinn_config import JOINTS_ALONE, VinnConfig
from aloha_stack.policies.vinn_embedding import Embedding
from aloha_stack.policies.vinn_index import Index
from aloha_stack.policies.vinn_search import Neighbours, find, search_of
from aloha_stack.policies.weights import load_weights

NAME = "vinn"


def neighbour_weights(distances: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """softmax(-distances / temperature) (k,) float64 of distances (k,), the nearest first.

    Raises ValueError for others: weights that are not in the order of their neighbours are wrong.
    """
    far = np.asarray(distances, np.float64)
    if not far.size or (np.diff(far) < 0).any() or not np.isfinite(far).all():
        raise ValueError(f"distances have to be finite and in rising order, found {far}")
    shares = np.exp(-(far - far[0]) / temperature)
    weights: np.ndarray = shares / shares.sum()
    return weights


@dataclass(frozen=True)
class _Plan:
    """What was found at a step: the actions of it and those that follow."""

    number: int
    actions: np.ndarray  # (T, A) float64


class VinnPolicy:
    """Not for several threads at once."""

    NEEDS_FOLDER = True
    """`restore` is told where the checkpoint lies: its index is beside it."""

    def __init__(
        self, spec: PolicySpec, config: VinnConfig, embedding: Embedding, index: Index
    ) -> None:
        """Raises PolicyError for parts that do not belong together."""
        self.config, self.embedding, self.index = config, embedding, index
        _check(spec, config, index)
        self._spec = replace(spec, chunk=config.chunk, stateful=config.every > 1)
        self.search = search_of(index.embeddings)
        self.distance = math.nan  # policies/familiarity.py
        self.reset()

    @property
    def spec(self) -> PolicySpec:
        return self._spec

    def adjust(self, name: str, value: str) -> None:
        """Options as VinnConfig.told knows them. Raises PolicyError."""
        config = self.config.told(name, value)
        _check(self._spec, config, self.index)
        self.config = config
        self._spec = replace(self._spec, chunk=config.chunk, stateful=config.every > 1)
        self.reset()

    def reset(self) -> None:
        """The next observation begins an episode."""
        self._first_ns: int | None = None
        self._plan: _Plan | None = None
        self.neighbours: Neighbours | None = None

    def act(self, observation: Observation) -> np.ndarray:
        """The chunk (T, 14) float32. Raises ObservationError, ChunkError."""
        check_observation(self._spec, observation)
        found = self.nearest(observation)
        self.neighbours, self.distance = found, float(found.total[0])
        if self._first_ns is None:
            self._first_ns = observation.stamp_ns
        number = step_of(observation.stamp_ns, self._first_ns, self._spec.rate_hz)
        plan = self._plan
        every = self.config.every
        if plan is None or every == 1 or not 0 <= number - plan.number < every:
            plan = _Plan(number, self._blended(self.planned(found), number))
        chunk = _from(plan.actions, number - plan.number).astype(np.float32)
        check_chunk(self._spec, chunk)
        self._plan = plan
        return chunk

    def nearest(self, observation: Observation) -> Neighbours:
        """The neighbours of what is seen."""
        return find(
            self.index,
            self.search,
            self._embedded(observation),
            observation.state,
            self.config.joint_weight,
            self.config.neighbours,
            self.config.apart,
        )

    def planned(self, found: Neighbours) -> np.ndarray:
        """The mean (T, A) float64 of what neighbours went on to do, by their weights."""
        weights = neighbour_weights(found.total, self.config.temperature)
        chunks = [self.index.chunk(int(row), self.config.chunk) for row in found.rows]
        mean: np.ndarray = np.einsum("k,kta->ta", weights, np.asarray(chunks, np.float64))
        return mean

    def _blended(self, actions: np.ndarray, number: int) -> np.ndarray:
        """New actions after those before, within `blend` steps."""
        plan, steps = self._plan, min(self.config.blend, len(actions))
        if plan is None or self.config.every == 1 or not steps or number <= plan.number:
            return actions
        share = (np.arange(1, steps + 1) / (steps + 1))[:, None]
        share = share**3 * (10 - 15 * share + 6 * share**2)  # at rest at both ends
        before = _from(plan.actions, number - plan.number)[:steps]
        return np.concatenate([before + share * (actions[:steps] - before), actions[steps:]])

    def _embedded(self, observation: Observation) -> np.ndarray:
        if self.config.encoder is None:
            return np.empty(0, np.float32)
        cameras, pictures = self.embedding.cameras, {}
        for number, camera in enumerate(cameras):
            picture = observation.images[camera]
            sight = self.config.sight(len(cameras), (picture.shape[0], picture.shape[1]))
            pictures[camera] = as_batch(picture if sight is None else sight.see(number, picture))
        embedded: np.ndarray = self.embedding(pictures)[0].numpy()
        return embedded

    @staticmethod
    def restore(
        spec: PolicySpec,
        config: Mapping[str, Any],
        statistics: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        device: str = "cpu",
        backend: str = "eager",
        folder: str | Path = ".",
    ) -> "VinnPolicy":
        """From the parts of a checkpoint and the index in its folder; all devices and backends are
        the processor here. Raises PolicyError for parts that do not fit."""
        sizes = VinnConfig.from_dict(config)
        embedding = Embedding(sizes, spec.cameras)
        load_weights(embedding, stripped(weights))
        index = vinn_index.read(Path(folder), sizes.index, weights_hash(weights))
        return VinnPolicy(spec, sizes, embedding, index)


NOTHING = "none"
"""A checkpoint's file of weights has one tensor at least: this one, where nothing is seen."""


def stripped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an embedding, of those of a checkpoint."""
    return {name: value for name, value in weights.items() if name != NOTHING}


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Of what makes embeddings, whatever file it lies in."""
    return vinn_index.tensors_digest(
        {name: value.detach().cpu().numpy() for name, value in stripped(weights).items()}
    )


def as_batch(picture: np.ndarray) -> Tensor:
    """(H, W, 3) to (1, 3, H, W) uint8."""
    usable = picture.flags.writeable and min(picture.strides) >= 0  # torch warns of others
    return torch.from_numpy(picture if usable else picture.copy()).permute(2, 0, 1)[None]


def _from(actions: np.ndarray, first: int) -> np.ndarray:
    """Actions from row `first` on, the last one repeated."""
    rows = np.minimum(np.arange(first, first + len(actions)), len(actions) - 1)
    found: np.ndarray = actions[rows]
    return found


def _check(spec: PolicySpec, config: VinnConfig, index: Index) -> None:
    """Raises PolicyError."""
    most = len(index.sources) if config.apart else len(index)
    if config.neighbours > most:
        what = "episodes, and neighbours are of different ones" if config.apart else "steps"
        raise PolicyError(f"{config.neighbours} neighbours; the index has {most} {what}")
    if (config.encoder is None) != (config.features == JOINTS_ALONE):
        raise PolicyError(f"features '{config.features}' and encoder do not belong together")
    sizes = {
        "joints": (index.joints.shape[1], len(spec.state_names)),
        "actions": (index.actions.shape[1], len(spec.action_names)),
    }
    for name, (has, needs) in sizes.items():
        if has != needs:
            raise PolicyError(f"the index has {has} {name}, the spec {needs}")
    if config.encoder is not None and not spec.cameras:
        raise PolicyError("spec: an encoder without a camera")
    if spec.cameras and spec.image_size is not None:
        config.sight(len(spec.cameras), spec.image_size)
