"""The each-layer-input LSTM: the image feature goes into every layer, so that it is not ignored.

At a short period the next joints are nearly those of now, so a network that could see the object
learns to copy the joints instead. Source: "Imitation Learning Inputting Image Feature to Each Layer
of Neural Network" (arXiv 2401.09691), which tells the idea but no sizes; those here are our own.

    f = encoder(picture)    h¹ = LSTM₁([q, f])    hˡ = LSTMₗ([hˡ⁻¹, f])    q⁺ = Linear([h^L, f])

The conventional network gets f in the first layer only; the wider one also has so wide layers that
it has as many parameters as that which it is compared with.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from aloha_stack.policies.config import LARGEST, size
from aloha_stack.policies.recurrent import (
    Encoded,
    LstmLayer,
    Memory,
    Predicted,
    RecurrentNetwork,
)
from aloha_stack.policies.recurrent_config import RecurrentConfig
from aloha_stack.policies.spatial_softmax import SpatialSoftmax

MLP, SPATIAL_SOFTMAX = "mlp", "spatial_softmax"
EACH, FIRST = "each", "first"


@dataclass(frozen=True)
class EachLayerConfig(RecurrentConfig):
    """`feature_into` "each": the proposed network; "first": the conventional one, and with
    `matched` the wider one, whose layers are as wide as the parameters of the each-layer network of
    `hidden` allow."""

    encoder: str = SPATIAL_SOFTMAX
    feature_into: str = EACH
    feature_to_output: bool = False  # whether the output layer gets the feature, too
    matched: bool = False

    layers: int = 3
    hidden: int = 64  # width of each layer

    channels: tuple[int, ...] = (16, 32, 32)  # of the convolutions
    kernel: int = 3
    strides: tuple[int, ...] = (2, 1, 1)
    points: int = 16  # of the spatial softmax
    temperature: float = 1.0
    mlp: int = 64  # width of the hidden layer of the MLP
    feature: int = 32  # numbers of the MLP's feature

    def __post_init__(self) -> None:
        super().__post_init__()
        self.need(self.encoder in (MLP, SPATIAL_SOFTMAX), "encoder", f"{MLP} or {SPATIAL_SOFTMAX}")
        self.need(self.feature_into in (EACH, FIRST), "feature_into", f"{EACH} or {FIRST}")
        self.need(not self.matched or self.feature_into == FIRST, "matched", "false for each")
        for name in ("channels", "strides"):
            sizes = getattr(self, name)
            self.need(bool(sizes) and all(map(size, sizes)), name, f"numbers from 1 to {LARGEST}")
        self.need(len(self.strides) == len(self.channels), "strides", "one for each of channels")
        self.need(self.kernel % 2 == 1, "kernel", "an odd number")
        self.need(self.temperature > 0, "temperature", "a number above 0")

    @property
    def feature_size(self) -> int:
        """Numbers of the image feature."""
        return 2 * self.points if self.encoder == SPATIAL_SOFTMAX else self.feature

    @cached_property
    def width(self) -> int:
        """Of each layer."""
        if not self.matched:
            return self.hidden
        wanted = replace(self, feature_into=EACH, matched=False)._recurrent_parameters(self.hidden)
        width = self.hidden
        while self._recurrent_parameters(width + 1) <= wanted:
            width += 1
        over = self._recurrent_parameters(width + 1) - wanted
        return width + (over < wanted - self._recurrent_parameters(width))

    def inputs(self, layer: int, width: int) -> int:
        """Numbers that go into a layer, 0 the first, without its own state."""
        below = self.joints if layer == 0 else width
        return below + (self.feature_size if layer == 0 or self.feature_into == EACH else 0)

    def output_inputs(self, width: int) -> int:
        """Numbers that go into the output layer."""
        return width + (self.feature_size if self.feature_to_output else 0)

    def _recurrent_parameters(self, width: int) -> int:
        """Of layers of this width and of the output layer."""
        layers = sum(4 * width * (self.inputs(k, width) + width + 2) for k in range(self.layers))
        return layers + self.joints * (self.output_inputs(width) + 1)


class EachLayerLstm(RecurrentNetwork):
    """Predicts joints only."""

    config: EachLayerConfig

    def __init__(self, config: EachLayerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PointEncoder(config) if config.encoder == SPATIAL_SOFTMAX else Mlp(config)
        width = config.width
        self.layers = nn.ModuleList(
            LstmLayer(config.inputs(layer, width), width) for layer in range(config.layers)
        )
        self.output = nn.Linear(config.output_inputs(width), config.joints)

    @property
    def feature_names(self) -> tuple[str, ...]:
        if self.config.encoder == MLP:
            return tuple(f"feature_{n}" for n in range(self.config.feature))
        return tuple(f"{axis}_{n}" for n in range(self.config.points) for axis in "xy")

    def encode(self, images: Tensor, with_maps: bool = True) -> Encoded:
        points = None
        feature = self.encoder(images)
        if self.config.encoder == SPATIAL_SOFTMAX:
            points = feature
            feature = 2 * points.flatten(1) - 1  # as far to both sides as to be seen at all
        return Encoded(feature, points)

    def recur(
        self, features: Tensor, joints: Tensor, memory: Memory | None = None
    ) -> tuple[Tensor, Memory]:
        before = (None,) * 2 * len(self.layers) if memory is None else (*memory.lower, *memory[:2])
        after: list[Tensor] = []
        states = joints
        for number, layer in enumerate(self.layers):
            if number == 0 or self.config.feature_into == EACH:
                states = torch.cat((states, features), dim=2)
            states, *last = layer(states, *before[2 * number : 2 * number + 2])
            after += last
        return states, Memory(after[-2], after[-1], tuple(after[:-2]))

    def decode(self, hidden: Tensor, encoded: Encoded, with_image: bool = True) -> Predicted:
        if self.config.feature_to_output:
            hidden = torch.cat((hidden, encoded.feature), dim=1)
        return Predicted(self.output(hidden), encoded_points=encoded.points)


class PointEncoder(nn.Module):
    """Convolutions and a spatial softmax: pictures (N, 3, H, W) to points (N, K, 2)."""

    def __init__(self, config: EachLayerConfig) -> None:
        super().__init__()
        self.convolutions = _convolutions(config)
        self.maps = nn.Conv2d(config.channels[-1], config.points, 1)
        self.softmax = SpatialSoftmax(config.temperature)

    def forward(self, images: Tensor) -> Tensor:
        return self.softmax(self.maps(self.convolutions(images)))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Convolutions and two linear layers: pictures (N, 3, H, W) to features (N, F) in -1 … 1."""

    def __init__(self, config: EachLayerConfig) -> None:
        super().__init__()
        height, width = _map_size(config)
        self.convolutions = _convolutions(config)
        self.linear = nn.Sequential(
            nn.Flatten(),
            nn.Linear(config.channels[-1] * height * width, config.mlp),
            nn.ReLU(),
            nn.Linear(config.mlp, config.feature),
            nn.Tanh(),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.convolutions(images))  # type: ignore[no-any-return]


def _convolutions(config: EachLayerConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs, padding = 3, config.kernel // 2
    for channels, stride in zip(config.channels, config.strides, strict=True):
        layers += [nn.Conv2d(inputs, channels, config.kernel, stride, padding), nn.ReLU()]
        inputs = channels
    return nn.Sequential(*layers)


def _map_size(config: EachLayerConfig) -> tuple[int, int]:
    """Height and width after the convolutions."""
    height, width = config.image_size
    for stride in config.strides:
        height, width = -(-height // stride), -(-width // stride)
    return height, width
