"""CNNRNN and CNNRNNLN: an image encoder, an LSTM and two decoders, trained from end to end.

Source: ogata-lab/eipl 1.1.1. `layer_norm` makes it CNNRNNLN: LayerNorm after all layers of encoder
and image decoder, and ReLU everywhere, the outputs included, instead of tanh; biases of the outputs
start in the middle of their range (published: anywhere).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from aloha_stack.policies import conv_stacks
from aloha_stack.policies.conv_stacks import BASIC, Style
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.recurrent import (
    Encoded,
    LstmLayer,
    Memory,
    Predicted,
    RecurrentNetwork,
    recur_once,
)
from aloha_stack.policies.recurrent_config import RecurrentConfig
from aloha_stack.policies.weights import load_weights


@dataclass(frozen=True)
class CnnRnnConfig(RecurrentConfig):
    """The defaults are those of the published networks."""

    image_size: tuple[int, int] = (128, 128)
    layer_norm: bool = False
    features: int = 10
    hidden: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        BASIC.map_size(self.image_size)
        fits = not self.layer_norm or self.value_range[0] >= 0
        self.need(fits, "value_range", "from 0 on with layer_norm, whose outputs are a ReLU's")

    @property
    def style(self) -> Style:
        return Style("layer" if self.layer_norm else "", self.layer_norm)


class CnnRnn(RecurrentNetwork):
    """Predicts joints and the picture."""

    config: CnnRnnConfig
    predicts_image = True

    def __init__(self, config: CnnRnnConfig) -> None:
        super().__init__()
        self.config = config
        size, style = config.image_size, config.style
        self.encoder = conv_stacks.encoder(BASIC, size, config.features, style)
        self.layer = LstmLayer(config.features + config.joints, config.hidden)
        self.joint_decoder = nn.Sequential(
            nn.Linear(config.hidden, config.joints), style.activation()
        )
        self.image_decoder = conv_stacks.decoder(BASIC, size, (config.hidden,), style)
        if style.relu:
            # A joint that ReLU cuts off for every input at the start is never learnt: of a gripper
            # so, a whole training said 0.
            middle = sum(config.value_range) / 2
            for last in (self.joint_decoder[0], self.image_decoder[-2]):
                nn.init.constant_(last.get_parameter("bias"), middle)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"feature_{n}" for n in range(self.config.features))

    def encode(self, images: Tensor, with_maps: bool = True) -> Encoded:
        return Encoded(self.encoder(images))

    def recur(
        self, features: Tensor, joints: Tensor, memory: Memory | None = None
    ) -> tuple[Tensor, Memory]:
        return recur_once(self.layer, features, joints, memory)

    def decode(self, hidden: Tensor, encoded: Encoded, with_image: bool = True) -> Predicted:
        image = self.image_decoder(hidden) if with_image else None
        return Predicted(self.joint_decoder(hidden), image)

    def start_from(self, autoencoder: Mapping[str, Tensor]) -> None:
        """Takes encoder and deconvolutions of a pre-trained basic auto-encoder (its weights by
        name, as of policies/cae.py). Raises PolicyError for weights that do not fit."""
        if self.config.layer_norm:
            raise PolicyError("layer_norm: no auto-encoder has it; start a network without it")
        weights = dict(self.state_dict())
        for name in weights:
            part, number, *rest = name.split(".")
            if part == "encoder":
                weights[name] = _of(autoencoder, name)
            elif part == "image_decoder" and int(number) > 0:  # 0 is linear, from the hidden state
                weights[name] = _of(autoencoder, f"decoder.{int(number) + 2}.{'.'.join(rest)}")
        load_weights(self, weights)


def _of(autoencoder: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in autoencoder:
        raise PolicyError(f"the auto-encoder has no {name}: expected a basic one without BatchNorm")
    return autoencoder[name]
