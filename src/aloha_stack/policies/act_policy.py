"""ACT as a policy: a trained network, the statistics of its numbers, and what it expects."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.act import Act
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.fast_act import FastAct
from aloha_stack.policies.fast_bytes import multiplies_bytes
from aloha_stack.policies.normalisation import NormalisationError, Normaliser
from aloha_stack.policies.options import EAGER, INT8
from aloha_stack.policies.policy import (
    Observation,
    ObservationError,
    PolicyError,
    PolicySpec,
    check_chunk,
    check_observation,
)
from aloha_stack.policies.weights import load_weights


class ActPolicy:
    """Chunks from a network in evaluation mode, z = 0. Not for several threads at once."""

    def __init__(
        self,
        spec: PolicySpec,
        network: Act,
        state: Normaliser,
        action: Normaliser,
        device: str = "cpu",
        backend: str = EAGER,
    ) -> None:
        """`backend` is one of options.BACKENDS. Raises PolicyError if the network's sizes are not
        those of `spec`."""
        _check_sizes(spec, network.config, len(state.mean), len(action.mean))
        self._spec = spec
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.state, self.action = state.to(self.device), action.to(self.device)
        self._pictures = torch.empty(0, dtype=torch.uint8)
        self._fast: FastAct | None = None
        self._is_fast = backend != EAGER
        whole = backend == INT8 and multiplies_bytes(self.device)
        self._products = torch.int8 if whole else None

    @property
    def spec(self) -> PolicySpec:
        return self._spec

    def reset(self) -> None:
        """Nothing to forget: each chunk comes from one observation."""

    @torch.inference_mode()
    def act(self, observation: Observation) -> np.ndarray:
        """The chunk (T, 14) float32. Raises ObservationError, ChunkError."""
        check_observation(self._spec, observation)
        pictures = self._alike(observation)
        state = torch.tensor(observation.state, dtype=torch.float32, device=self.device)
        compute = self._computed_fast if self._is_fast else self._computed
        action = self.action.inverse(compute(pictures, self.state(state)).float())
        chunk: np.ndarray = action.cpu().numpy()
        check_chunk(self._spec, chunk)
        return chunk

    def _alike(self, observation: Observation) -> list[np.ndarray]:
        """What the network sees of the pictures, in its order. Raises ObservationError if their
        sizes differ."""
        images = [observation.images[camera] for camera in self._spec.cameras]
        if len({image.shape for image in images}) > 1:
            sizes = ", ".join(f"{c} {i.shape}" for c, i in observation.images.items())
            raise ObservationError(f"the pictures have to be of one size, found {sizes}")
        try:
            sight = self.network.config.sight(images[0].shape[:2])  # type: ignore[arg-type]
        except ValueError as error:
            raise ObservationError(str(error)) from error
        return images if sight is None else [sight.see(*each) for each in enumerate(images)]

    def _computed(self, pictures: Sequence[np.ndarray], state: Tensor) -> Tensor:
        """Actions (T, A), normalised. The network sees the pictures, side by side in one buffer, as
        a view (1, C, 3, H, W) uint8."""
        shape = (len(pictures), *pictures[0].shape)
        if tuple(self._pictures.shape) != shape:
            self._pictures = torch.empty(shape, dtype=torch.uint8)
        np.stack(pictures, out=self._pictures.numpy())
        seen = self._pictures.to(self.device).permute(0, 3, 1, 2)[None]
        return self.network(seen, state[None]).action[0]  # type: ignore[no-any-return]

    def _computed_fast(self, pictures: Sequence[np.ndarray], state: Tensor) -> Tensor:
        height, width = pictures[0].shape[:2]
        if self._fast is None or self._fast.size != (height, width):
            self._fast = FastAct(self.network, height, width, self._products)
        return self._fast([_tensor(picture) for picture in pictures], state)

    @staticmethod
    def restore(
        spec: PolicySpec,
        config: Mapping[str, Any],
        statistics: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        device: str = "cpu",
        backend: str = EAGER,
    ) -> "ActPolicy":
        """From the parts of a checkpoint. Raises PolicyError for parts that do not fit."""
        sizes = ActConfig.from_dict(config)
        with torch.random.fork_rng(devices=[]):  # its start values are not used: draw none
            network = Act(sizes)
        load_weights(network, weights)
        state = _normaliser(statistics, "state", spec.state_names)
        action = _normaliser(statistics, "action", spec.action_names)
        return ActPolicy(spec, network, state, action, device, backend)


def _tensor(picture: np.ndarray) -> Tensor:
    """The same memory; a copy of what torch takes no part in: read-only or turned around."""
    usable = picture.flags.writeable and min(picture.strides) >= 0
    return torch.from_numpy(picture if usable else picture.copy())


def _normaliser(statistics: Mapping[str, Any], name: str, columns: Sequence[str]) -> Normaliser:
    try:
        return Normaliser.of(statistics.get(name) or {}, columns)
    except NormalisationError as error:
        raise PolicyError(f"statistics of {name}: {error}") from error


def _check_sizes(spec: PolicySpec, config: ActConfig, states: int, actions: int) -> None:
    expected = {
        "cameras": (config.cameras, len(spec.cameras)),
        "chunk": (config.chunk, spec.chunk),
        "state_dim": (config.state_dim, len(spec.state_names)),
        "action_dim": (config.action_dim, len(spec.action_names)),
        "state statistics": (states, len(spec.state_names)),
        "action statistics": (actions, len(spec.action_names)),
    }
    wrong = [
        f"{name} {has}, spec {needs}" for name, (has, needs) in expected.items() if has != needs
    ]
    if wrong:
        raise PolicyError(f"network and spec do not belong together: {'; '.join(wrong)}")
    if spec.image_size is not None:
        try:
            config.sight(spec.image_size)
        except ValueError as error:
            raise PolicyError(str(error)) from error
