"""The convolutional encoders and decoders that CNNRNN and the auto-encoders are made of.

Source: ogata-lab/eipl 1.1.1 (layers, sizes, kinds of normalisation). Layers stand in the same order
as there, so that its weights fit by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from aloha_stack.policies.policy import PolicyError


@dataclass(frozen=True)
class Stack:
    """Convolutions of stride 2 and padding 1 from a picture to maps, then linear layers."""

    channels: tuple[int, ...]  # after each convolution
    kernel: int
    linear: int  # width of the linear layer between maps and feature
    last_padding: int  # of the last convolution of the way back
    output_padding: int  # of all convolutions of the way back

    def map_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the maps. Raises PolicyError for a picture that does not come out of
        the way back at its own size."""
        sizes = [self._sizes(length) for length in image_size]
        back = tuple(self._back(one[-1]) for one in sizes)
        if back != tuple(image_size) or min(one[-1] for one in sizes) < 1:
            raise PolicyError(
                f"image_size: pictures of {image_size[0]}×{image_size[1]} px would come back as "
                f"{back[0]}×{back[1]}; expected a size that these convolutions keep, as 64×64"
            )
        return sizes[0][-1], sizes[1][-1]

    def map_sizes(self, image_size: tuple[int, int]) -> list[tuple[int, int]]:
        """Height and width after each convolution."""
        height, width = (self._sizes(length) for length in image_size)
        return list(zip(height, width, strict=True))

    def _sizes(self, length: int) -> list[int]:
        sizes = []
        for _ in self.channels:
            length = (length + 2 - self.kernel) // 2 + 1
            sizes.append(length)
        return sizes

    def _back(self, length: int) -> int:
        for number in range(len(self.channels)):
            last = number == len(self.channels) - 1
            padding = self.last_padding if last else 1
            length = 2 * (length - 1) - 2 * padding + self.kernel + self.output_padding
        return length


BASIC = Stack((64, 32, 16, 12, 8), kernel=3, linear=50, last_padding=1, output_padding=1)
LARGE = Stack((32, 64, 128), kernel=6, linear=1000, last_padding=0, output_padding=0)


@dataclass(frozen=True)
class Style:
    """What follows the layers: a normalisation and an activation."""

    norm: Literal["", "batch", "layer"] = ""
    relu: bool = False  # else tanh

    def after(self, shape: tuple[int, ...]) -> list[nn.Module]:
        """After a layer whose outputs have this shape, without N."""
        if self.norm == "layer":
            return [nn.LayerNorm(shape), self.activation()]
        if self.norm == "batch":
            kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
            return [kind(shape[0]), self.activation()]
        return [self.activation()]

    def activation(self) -> nn.Module:
        return nn.ReLU() if self.relu else nn.Tanh()


def encoder(
    stack: Stack, image_size: tuple[int, int], features: int, style: Style
) -> nn.Sequential:
    """Pictures (N, 3, H, W) to features (N, `features`)."""
    height, width = stack.map_size(image_size)
    layers: list[nn.Module] = []
    inputs = 3
    for channels, size in zip(stack.channels, stack.map_sizes(image_size), strict=True):
        layers += [nn.Conv2d(inputs, channels, stack.kernel, 2, 1), *style.after((channels, *size))]
        inputs = channels
    layers.append(nn.Flatten())
    inputs *= height * width
    for outputs in (stack.linear, features):
        layers += [nn.Linear(inputs, outputs), *style.after((outputs,))]
        inputs = outputs
    return nn.Sequential(*layers)


def decoder(
    stack: Stack, image_size: tuple[int, int], widths: Sequence[int], style: Style
) -> nn.Sequential:
    """Numbers (N, widths[0]) by linear layers of the other `widths` to pictures (N, 3, H, W)."""
    height, width = stack.map_size(image_size)
    maps = (stack.channels[-1], height, width)
    layers: list[nn.Module] = []
    inputs = widths[0]
    for outputs in (*widths[1:], height * width * maps[0]):
        layers += [nn.Linear(inputs, outputs), *style.after((outputs,))]
        inputs = outputs
    layers.append(nn.Unflatten(1, maps))
    inputs = maps[0]
    ahead = list(zip(stack.channels, stack.map_sizes(image_size), strict=True))
    for channels, size in reversed(ahead[:-1]):
        layers += [_back(stack, inputs, channels, 1), *style.after((channels, *size))]
        inputs = channels
    layers += [_back(stack, inputs, 3, stack.last_padding), style.activation()]
    return nn.Sequential(*layers)


def _back(stack: Stack, inputs: int, outputs: int, padding: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, stack.kernel, 2, padding, stack.output_padding)
