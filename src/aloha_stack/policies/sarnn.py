"""SARNN: an LSTM on points of attention in the picture, and on the joints.

Source: ogata-lab/eipl 1.1.1; Ichiwara et al. 2022 (arXiv 2103.01598). One stack of convolutions
says where to look (spatial softmax), another what is there; the next picture is made of the
latter's maps around the points that are predicted.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from aloha_stack.policies.recurrent import (
    Encoded,
    LstmLayer,
    Memory,
    Predicted,
    RecurrentNetwork,
    recur_once,
)
from aloha_stack.policies.recurrent_config import RecurrentConfig
from aloha_stack.policies.spatial_softmax import SpatialSoftmax, Spots

SLOPE = 0.3
"""Of all activations (LeakyReLU) below 0."""
LOST = 6
"""Pixels by which three convolutions without padding make a picture smaller."""


@dataclass(frozen=True)
class SarnnConfig(RecurrentConfig):
    """The defaults are those of the published network."""

    points: int = 5
    hidden: int = 50
    temperature: float = 1e-4
    spot_size: float = 0.1  # exp(-distance² / spot_size) is what is seen around a point

    def __post_init__(self) -> None:
        super().__post_init__()
        self.need(min(self.image_size) > LOST + 1, "image_size", f"more than {LOST + 1} px")
        self.need(self.temperature > 0, "temperature", "a number above 0")
        self.need(self.spot_size > 0, "spot_size", "a number above 0")


class Sarnn(RecurrentNetwork):
    """Predicts joints, points and the picture."""

    config: SarnnConfig
    predicts_image = True

    def __init__(self, config: SarnnConfig) -> None:
        super().__init__()
        self.config = config
        height, width = (length - LOST for length in config.image_size)
        self.point_encoder = _convolutions(config.points)
        self.softmax = SpatialSoftmax(config.temperature)
        self.image_encoder = _convolutions(config.points)
        self.layer = LstmLayer(2 * config.points + config.joints, config.hidden)
        self.joint_decoder = _head(config.hidden, config.joints)
        self.point_decoder = _head(config.hidden, 2 * config.points)
        self.spots = Spots(height, width, config.spot_size)
        self.image_decoder = nn.Sequential(
            nn.ConvTranspose2d(config.points, 32, 3),
            nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(32, 16, 3),
            nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(16, 3, 3),
            nn.LeakyReLU(SLOPE),
        )
        self.apply(_begin)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"{axis}_{n}" for n in range(self.config.points) for axis in "xy")

    def encode(self, images: Tensor, with_maps: bool = True) -> Encoded:
        points = self.softmax(self.point_encoder(images))
        maps = self.image_encoder(images) if with_maps else None
        return Encoded(points.flatten(1), points, maps)

    def recur(
        self, features: Tensor, joints: Tensor, memory: Memory | None = None
    ) -> tuple[Tensor, Memory]:
        return recur_once(self.layer, features, joints, memory)

    def decode(self, hidden: Tensor, encoded: Encoded, with_image: bool = True) -> Predicted:
        points = self.point_decoder(hidden).unflatten(1, (-1, 2))
        image = None
        if with_image:
            assert encoded.maps is not None, "encode them with_maps"
            image = self.image_decoder(self.spots(points) * encoded.maps)
        return Predicted(self.joint_decoder(hidden), image, points, encoded_points=encoded.points)


def _convolutions(outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(16, 32, 3),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(32, outputs, 3),
        nn.LeakyReLU(SLOPE),
    )


def _head(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE))


def _begin(module: nn.Module) -> None:
    """Start weights as published: Glorot's, orthogonal where states meet themselves, biases 0."""
    if isinstance(module, LstmLayer):
        nn.init.xavier_uniform_(module.weight_ih)
        nn.init.orthogonal_(module.weight_hh)
        nn.init.zeros_(module.bias_ih)
        nn.init.zeros_(module.bias_hh)
    elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
