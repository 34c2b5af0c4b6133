"""A recurrent network as a policy: one step of the network for each step of time.

The network says the joints of the next step, which are row 1 of a chunk. Row 0, the observation's
own moment, is what was said one step earlier; the rows after 1 repeat it, so that the arms hold
where inference is late.

Memory goes by the observations' stamps, for a network knows time by its steps alone: another
observation of the same step takes the place of the one before; for steps without one the network
sees this picture and joints between the last reading and this one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.fast_stack import for_acting
from aloha_stack.policies.min_max import min_max
from aloha_stack.policies.normalisation import NormalisationError, Normaliser
from aloha_stack.policies.policy import (
    Observation,
    PolicyError,
    PolicySpec,
    check_chunk,
    check_observation,
)
from aloha_stack.policies.recurrent import Memory, Predicted, RecurrentNetwork, as_input
from aloha_stack.policies.recurrent_config import RecurrentConfig
from aloha_stack.policies.recurrent_networks import CAE, config_of, without_start
from aloha_stack.policies.step_count import step_of
from aloha_stack.policies.weights import load_weights
from aloha_stack.robot.joints import JOINTS

COVERED_S = 0.1
"""Time without inference through which a chunk goes on."""
PLAYED = 0.75
"""The part of a chunk after which its player begins to slow down (control/chunk_ring.py)."""
MOST_MISSED = 10
"""Steps without an observation that are made good."""


def chunk_rows(rate_hz: float) -> int:
    """Rows of a chunk: two for inference in time, and so many that COVERED_S are bridged."""
    dt_s = 1 / rate_hz
    return 1 + math.ceil(round((2 * dt_s + COVERED_S) / (PLAYED * dt_s), 6))


@dataclass(frozen=True)
class _Step:
    """What is known at the end of a step."""

    number: int
    joints: Tensor  # (1, J) as they were read, normalised
    predicted: Predicted
    memory: Memory


class RecurrentPolicy:
    """Not for several threads at once.

    `input_param` p: after the first step the network sees p * sensor + (1 - p) * prediction, of
    joints and, where it predicts one, of the picture: 1 what the robot perceives, 0 what it expects
    alone. All joints but those of the config's arms hold where they were at the first observation.
    """

    def __init__(
        self,
        spec: PolicySpec,
        network: RecurrentNetwork,
        joints: Normaliser,
        device: str = "cpu",
        input_param: float = 1.0,
    ) -> None:
        """`joints` normalises those of the config's arms. It acts with a copy of the network as it
        is now (policies/fast_stack.py). Raises PolicyError if the parts do not belong together."""
        config = network.config
        self._columns = _columns(spec, config)
        _check(spec, config, len(joints.mean))
        self._spec = spec
        self.device = torch.device(device)
        self.network: RecurrentNetwork = network.to(self.device).eval()
        _lay_out(self.network)
        self._acting = for_acting(self.network)
        self.joints = joints.to(self.device)
        self.input_param = input_param
        self.adjust("input_param", str(input_param))
        self._crop = config.crop or (0, 0, *config.image_size)
        self._actions = [spec.state_names.index(name) for name in spec.action_names]
        self._moved = [self._actions.index(column) for column in self._columns]
        self.reset()

    @property
    def spec(self) -> PolicySpec:
        return self._spec

    def adjust(self, name: str, value: str) -> None:
        """The option input_param, 0 … 1. Raises PolicyError."""
        if name != "input_param":
            raise PolicyError(f"no option '{name}'; there is input_param")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 1:
            raise PolicyError(f"input_param: expected a number of 0 … 1, found '{value}'")
        self.input_param = number

    def reset(self) -> None:
        """Forgets everything: the next observation begins an episode."""
        self._before: _Step | None = None  # at the end of the step before the last one
        self._last: _Step | None = None
        self._held: np.ndarray | None = None
        self._first_ns = 0

    @torch.inference_mode()
    def act(self, observation: Observation) -> np.ndarray:
        """The chunk (n, 14) float32. Raises ObservationError, ChunkError; then nothing has changed
        but that an episode may have begun."""
        check_observation(self._spec, observation)
        if self._held is None:
            self._held = observation.state[self._actions].astype(np.float32)
            self._first_ns = observation.stamp_ns
        before, number = self._placed(observation.stamp_ns)
        state = torch.tensor(observation.state[self._columns], dtype=torch.float32)[None]
        image = self._image(observation.images[self._spec.cameras[0]])
        last = self._stepped(before, number, image, self.joints(state.to(self.device)))
        before_last = before if before is not None else last
        chunk = self._chunk(before_last.predicted.joints, last.predicted.joints)
        check_chunk(self._spec, chunk)
        self._before, self._last = before, last
        return chunk

    def _placed(self, stamp_ns: int) -> tuple[_Step | None, int]:
        """What an observation follows, and the number of its step."""
        number = step_of(stamp_ns, self._first_ns, self._spec.rate_hz)
        if self._last is None or number > self._last.number:
            return self._last, number
        return self._before, self._last.number

    def _stepped(self, step: _Step | None, number: int, image: Tensor, joints: Tensor) -> _Step:
        """One step on, or as many as there are to `number`."""
        if step is not None:
            passed = min(number - step.number, MOST_MISSED + 1)
            read = step.joints
            for missed in range(1, passed):
                between = torch.lerp(read, joints, missed / passed)
                step = self._one_step(step, step.number + 1, image, between)
        return self._one_step(step, number, image, joints)

    def _one_step(self, step: _Step | None, number: int, image: Tensor, joints: Tensor) -> _Step:
        part = self.input_param
        seen, read, memory = image, joints, None
        if step is not None:
            memory = step.memory
            if part < 1:
                read = part * joints + (1 - part) * step.predicted.joints
                if step.predicted.image is not None:
                    seen = part * image + (1 - part) * step.predicted.image
        predicted, memory = self._acting.step(seen, read, memory, part < 1)
        return _Step(number, joints, predicted, memory)

    def _image(self, picture: np.ndarray) -> Tensor:
        """What the network sees of a picture, (1, 3, H, W)."""
        top, left, height, width = self._crop
        seen = np.ascontiguousarray(picture[top : top + height, left : left + width])
        usable = seen if seen.flags.writeable else seen.copy()  # torch warns of others
        return as_input(torch.from_numpy(usable).to(self.device), self.network.config)[None]

    def _chunk(self, now: Tensor, following: Tensor) -> np.ndarray:
        rows = self.joints.inverse(torch.cat((now, following))).float().cpu().numpy()
        assert self._held is not None, "an episode has begun"
        chunk: np.ndarray = np.tile(self._held, (self._spec.chunk, 1))
        chunk[:1, self._moved], chunk[1:, self._moved] = rows[:1], rows[1:]
        return chunk

    @staticmethod
    def restore(
        spec: PolicySpec,
        config: Mapping[str, Any],
        statistics: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        device: str = "cpu",
        backend: str = "eager",
    ) -> "RecurrentPolicy":
        """From the parts of a checkpoint; all backends are one here. Raises PolicyError."""
        if spec.policy == CAE:
            raise PolicyError("an auto-encoder begins other networks; it does not act itself")
        sizes = config_of(spec.policy, config)
        names = [spec.state_names[column] for column in _columns(spec, sizes)]
        try:
            joints = min_max(statistics.get("joints") or {}, names, sizes.value_range)
        except NormalisationError as error:
            raise PolicyError(f"statistics of joints: {error}") from error
        network = without_start(spec.policy, sizes)
        load_weights(network, weights)
        assert isinstance(network, RecurrentNetwork)
        return RecurrentPolicy(spec, network, joints, device)


def _lay_out(network: RecurrentNetwork) -> None:
    """Weights of convolutions as pictures come, the colours of a pixel side by side: else the first
    convolution takes ten times as long (torch 2.13, one core)."""
    for weights in network.parameters():
        if weights.dim() == 4:
            weights.data = weights.data.contiguous(memory_format=torch.channels_last)


def _columns(spec: PolicySpec, config: RecurrentConfig) -> list[int]:
    """The columns of a state that the network reads and says."""
    names: Sequence[str] = spec.action_names
    if config.arms:
        names = [f"{arm}_{joint}" for arm in config.arms for joint in JOINTS]
    missing = [name for name in (*names, *spec.action_names) if name not in spec.state_names] + [
        name for name in names if name not in spec.action_names
    ]
    if missing:
        raise PolicyError(f"spec: its state or action lacks {', '.join(dict.fromkeys(missing))}")
    return [spec.state_names.index(name) for name in names]


def _check(spec: PolicySpec, config: RecurrentConfig, joints: int) -> None:
    columns = len(_columns(spec, config))
    if not config.joints == columns == joints:
        raise PolicyError(
            f"network and spec do not belong together: the network has {config.joints} joints, "
            f"spec and arms {columns}, statistics {joints}"
        )
    if len(spec.cameras) != 1:
        raise PolicyError(
            f"spec: {len(spec.cameras)} cameras; a recurrent network looks through one"
        )
    if not spec.stateful or spec.chunk < 2:
        raise PolicyError(
            f"spec: stateful {spec.stateful}, chunk {spec.chunk}; a recurrent policy is stateful, "
            "and its chunks have two rows at least"
        )
    size, seen = spec.image_size, config.image_size
    if config.crop is None:
        fits = size == seen
    else:
        top, left, height, width = config.crop
        fits = size is not None and top + height <= size[0] and left + width <= size[1]
    if not fits:
        raise PolicyError(
            f"image_size: the network sees {seen[0]}×{seen[1]} px (crop {config.crop}), the spec's "
            f"pictures have {'any size' if size is None else f'{size[0]}×{size[1]}'}"
        )
