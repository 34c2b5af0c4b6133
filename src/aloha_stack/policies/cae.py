"""Convolutional auto-encoders: a picture to a few numbers and back.

Source: ogata-lab/eipl 1.1.1: BasicCAE (size "basic"), CAE ("large"), and both with BatchNorm.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from aloha_stack.policies import conv_stacks
from aloha_stack.policies.conv_stacks import BASIC, LARGE, Style
from aloha_stack.policies.recurrent_config import RecurrentConfig

SIZES = {"basic": BASIC, "large": LARGE}


@dataclass(frozen=True)
class CaeConfig(RecurrentConfig):
    """`joints` and `arms` are of no meaning here: a picture is all that is looked at."""

    image_size: tuple[int, int] = (128, 128)
    size: str = "basic"
    batch_norm: bool = False
    features: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        self.need(self.size in SIZES, "size", " or ".join(SIZES))
        SIZES[self.size].map_size(self.image_size)

    @property
    def style(self) -> Style:
        """As published: tanh in the basic one without BatchNorm alone."""
        return Style("batch" if self.batch_norm else "", self.batch_norm or self.size == "large")


class Cae(nn.Module):
    """Pictures are float (N, 3, H, W) in the network's range."""

    def __init__(self, config: CaeConfig) -> None:
        super().__init__()
        self.config = config
        stack, size, style = SIZES[config.size], config.image_size, config.style
        self.encoder = conv_stacks.encoder(stack, size, config.features, style)
        self.decoder = conv_stacks.decoder(stack, size, (config.features, stack.linear), style)

    def encode(self, images: Tensor) -> Tensor:
        """Features (N, F)."""
        return self.encoder(images)  # type: ignore[no-any-return]

    def decode(self, features: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) from features (N, F)."""
        return self.decoder(features)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """The same pictures, through the features."""
        return self.decode(self.encode(images))
