"""What every recurrent network does: a picture and joints in, those of the next step out.

Shapes: B sequences, T steps, N = B * T, J joints, F numbers of the image feature, D = width of the
recurrent part's last layer, K points. Pictures are float (…, 3, H, W), joints (…, J), both in the
network's range (RecurrentConfig.value_range).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aloha_stack.policies.recurrent_config import RecurrentConfig


class Memory(NamedTuple):
    """What a network carries from one step to the next."""

    hidden: Tensor  # (B, D) of the last layer
    cell: Tensor  # (B, D) of the last layer
    lower: tuple[Tensor, ...] = ()  # hidden, cell of each layer below, the first layer's first


class Encoded(NamedTuple):
    """What is seen in N pictures."""

    feature: Tensor  # (N, F), which goes into the recurrent part
    points: Tensor | None = None  # (N, K, 2), x and y in 0 … 1, where the feature is made of them
    maps: Tensor | None = None  # (N, K, h, w) from which a picture is made again


class Predicted(NamedTuple):
    """Of the next step, shapes (B, T, …), or (B, …) of a single step; None: not predicted."""

    joints: Tensor  # (…, J)
    image: Tensor | None = None  # (…, 3, H, W)
    points: Tensor | None = None  # (…, K, 2)
    feature: Tensor | None = None  # (…, F)
    encoded_points: Tensor | None = None  # (…, K, 2), seen in *this* step
    encoded_feature: Tensor | None = None  # (…, F), likewise, where features are predicted


class RecurrentNetwork(nn.Module):
    """A network says how pictures are encoded, what is remembered, and how that is decoded; this
    puts them together, so that pictures of all steps are encoded and decoded at once."""

    config: RecurrentConfig
    predicts_image = False

    def encode(self, images: Tensor, with_maps: bool = True) -> Encoded:
        """Of N pictures (N, 3, H, W). `with_maps`: whether a picture is to be decoded."""
        raise NotImplementedError

    def recur(
        self, features: Tensor, joints: Tensor, memory: Memory | None = None
    ) -> tuple[Tensor, Memory]:
        """Hidden states (B, T, D) of the last layer, and the memory after the last step.

        features (B, T, F), joints (B, T, J); without a `memory` all begins at 0.
        """
        raise NotImplementedError

    def decode(self, hidden: Tensor, encoded: Encoded, with_image: bool = True) -> Predicted:
        """Of N hidden states (N, D) and what was encoded at the same steps; shapes (N, …)."""
        raise NotImplementedError

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Of the F numbers of a feature."""
        raise NotImplementedError

    def forward(
        self,
        images: Tensor,
        joints: Tensor,
        memory: Memory | None = None,
        with_image: bool = True,
        image_steps: slice | None = None,
        looks: Tensor | None = None,
    ) -> tuple[Predicted, Memory]:
        """Of whole sequences: images (B, T, 3, H, W), joints (B, T, J).

        `with_image`: whether the next picture is wanted where the network predicts one; with
        `image_steps` only at these of the T steps: most of the work is in pictures. With `looks`
        (T,) int64 there are P pictures a sequence, and step t sees the one of number looks[t].
        """
        self._check(images, joints, looks)
        steps = joints.shape[:2]
        encoded = self.encode(images.flatten(0, 1), with_image)
        if looks is not None:
            encoded = _at(encoded, images.shape[:2], looks)
        hidden, memory = self.recur(encoded.feature.unflatten(0, steps), joints, memory)
        at_all = with_image and image_steps is None
        predicted = self.decode(hidden.flatten(0, 1), encoded, at_all)
        predicted = _each(predicted, lambda part: part.unflatten(0, steps))
        if with_image and image_steps is not None:
            told, seen = hidden[:, image_steps], _at(encoded, steps, image_steps)
            image = self.decode(told.flatten(0, 1), seen).image
            if image is not None:
                predicted = predicted._replace(image=image.unflatten(0, told.shape[:2]))
        return predicted, memory

    def step(
        self,
        image: Tensor,
        joints: Tensor,
        memory: Memory | None = None,
        with_image: bool = True,
    ) -> tuple[Predicted, Memory]:
        """Of one step: image (B, 3, H, W), joints (B, J)."""
        predicted, memory = self.forward(image[:, None], joints[:, None], memory, with_image)
        return _each(predicted, lambda part: part[:, 0]), memory

    def _check(self, images: Tensor, joints: Tensor, looks: Tensor | None) -> None:
        size, count = (3, *self.config.image_size), self.config.joints
        if images.dim() != 5 or images.shape[2:] != size:
            raise ValueError(f"images: expected (B, T, {size}), found {tuple(images.shape)}")
        sequences, steps = images.shape[0], images.shape[1] if looks is None else len(looks)
        if joints.shape != (sequences, steps, count):
            raise ValueError(
                f"joints: expected {(sequences, steps, count)}, found {tuple(joints.shape)}"
            )


def _each(predicted: Predicted, change: Callable[[Tensor], Tensor]) -> Predicted:
    """The same with every part changed."""
    joints, *others = predicted
    return Predicted(change(joints), *(None if one is None else change(one) for one in others))


def _at(encoded: Encoded, shape: torch.Size, steps: slice | Tensor) -> Encoded:
    """Of N = B * T pictures, `shape` being (B, T), those of some steps."""
    parts = (
        None if part is None else part.unflatten(0, shape)[:, steps].flatten(0, 1)
        for part in encoded
    )
    feature, *others = parts
    assert feature is not None
    return Encoded(feature, *others)


class LstmLayer(nn.Module):
    """One LSTM over all steps at once. Its weights are called as those of torch's LSTMCell, and
    start as those do."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(4 * width, inputs))
        self.weight_hh = nn.Parameter(torch.empty(4 * width, width))
        self.bias_ih = nn.Parameter(torch.empty(4 * width))
        self.bias_hh = nn.Parameter(torch.empty(4 * width))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(
        self, x: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states (B, T, D) of x (B, T, inputs), and hidden and cell (B, D) at the end."""
        if hidden is None or cell is None:
            hidden = cell = x.new_zeros(len(x), self.weight_hh.shape[1])
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        states, hidden, cell = torch.lstm(
            x, (hidden[None], cell[None]), weights, True, 1, 0.0, self.training, False, True
        )
        return states, hidden[0], cell[0]


def recur_once(
    layer: LstmLayer, features: Tensor, joints: Tensor, memory: Memory | None
) -> tuple[Tensor, Memory]:
    """`RecurrentNetwork.recur` of a network with one layer, which gets [feature, joints]."""
    x = torch.cat((features, joints), dim=2)
    hidden, *last = layer(x) if memory is None else layer(x, memory.hidden, memory.cell)
    return hidden, Memory(*last)


def as_input(pictures: Tensor, config: RecurrentConfig) -> Tensor:
    """RGB pictures (…, H, W, 3) uint8, cut already, as a network takes them: (…, 3, H, W) float."""
    first, last = config.value_range
    colours = pictures.flip(-1) if config.bgr else pictures
    return colours.movedim(-1, -3).float().mul((last - first) / 255).add(first)
