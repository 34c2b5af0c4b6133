"""CAE-RNN: an auto-encoder trained beforehand, and an LSTM on its features and the joints.

Source: ogata-lab/eipl 1.1.1 (zoo/cae, zoo/rnn): one linear layer with tanh says the next feature
and the next joints; features are stretched to the network's range by the bounds of all of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aloha_stack.policies.cae import Cae, CaeConfig
from aloha_stack.policies.recurrent import (
    Encoded,
    LstmLayer,
    Memory,
    Predicted,
    RecurrentNetwork,
    recur_once,
)


@dataclass(frozen=True)
class CaeRnnConfig(CaeConfig):
    """Of the auto-encoder and of the recurrent part."""

    hidden: int = 50


class CaeRnn(RecurrentNetwork):
    """The auto-encoder stays as it is: it is never in training mode, nor do gradients reach it.

    `feature_bounds` (2,) are the least and the greatest number in features of training pictures.
    """

    config: CaeRnnConfig
    predicts_image = True
    feature_bounds: Tensor

    def __init__(self, config: CaeRnnConfig) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = Cae(config).requires_grad_(False)
        self.register_buffer("feature_bounds", torch.tensor([0.0, 1.0]))
        self.layer = LstmLayer(config.features + config.joints, config.hidden)
        self.output = nn.Sequential(
            nn.Linear(config.hidden, config.features + config.joints), nn.Tanh()
        )
        self.train()

    def train(self, mode: bool = True) -> "CaeRnn":
        super().train(mode)
        self.autoencoder.eval()
        return self

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"feature_{n}" for n in range(self.config.features))

    def encode(self, images: Tensor, with_maps: bool = True) -> Encoded:
        low, high = self.feature_bounds
        first, last = self.config.value_range
        share = (self.autoencoder.encode(images) - low) / (high - low)
        return Encoded(first + share * (last - first))

    def recur(
        self, features: Tensor, joints: Tensor, memory: Memory | None = None
    ) -> tuple[Tensor, Memory]:
        return recur_once(self.layer, features, joints, memory)

    def decode(self, hidden: Tensor, encoded: Encoded, with_image: bool = True) -> Predicted:
        feature, joints = self.output(hidden).split(
            [self.config.features, self.config.joints], dim=1
        )
        return Predicted(
            joints,
            self._picture(feature) if with_image else None,
            feature=feature,
            encoded_feature=encoded.feature,
        )

    def _picture(self, feature: Tensor) -> Tensor:
        low, high = self.feature_bounds
        first, last = self.config.value_range
        share = (feature - first) / (last - first)
        return self.autoencoder.decode(low + share * (high - low))
