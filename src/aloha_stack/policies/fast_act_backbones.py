"""The backbones with constant weights: pictures of whole grey levels in, feature maps out.

Normalisation of the pictures is part of the first convolution. A picture x becomes (x - mean) /
std there, and its border 0; so that neither costs a pass over the picture, the weights take the
division, the bias the shift, and the picture lies in a buffer whose border is the mean.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies.backbones import FrozenBatchNorm, LightResNet, ResNet18, ResNetBlock
from aloha_stack.policies.fast_bytes import (
    ByteConvolution,
    convolution,
    heavy,
    numbers,
    of_bytes,
)
from aloha_stack.policies.fast_layers import NONE, RELU, Convolution, Size
from aloha_stack.policies.normalisation import ImageNormaliser

WHITE = 255
GROUP_BYTES = 12 << 20
"""Maps of the stem that are computed at once: more than that leave the processor's cache on their
way to the next layer. Four pictures of 480x640 one by one took 0.5 of the stem's time together."""

Step = Callable[[Tensor], Tensor]
Product = Convolution | ByteConvolution


class Stem:
    """The first convolution, with the normalisation of the pictures, as one of wide pixels.

    Three channels leave most of a vector register empty. As many pixels of a row as the stride is
    wide, taken as one, are the same memory under another shape, with a kernel as much narrower.
    """

    def __init__(
        self,
        layer: nn.Conv2d,
        normaliser: ImageNormaliser,
        norm: FrozenBatchNorm | None,
        size: Size,
        kind: torch.dtype,
    ) -> None:
        """For all cameras' pictures of this size; with the `norm` after it there is a ReLU, too.

        Where it multiplies bytes, pictures lie as they came; the border is the mean's next level.
        """
        cameras, height, width = size
        weight, bias = folded(layer, norm)
        outputs, taps, (stride, _) = len(weight), weight.shape[-1], _pair(layer.stride)
        pad = _pair(layer.padding)[0]
        wide = math.ceil(pad / stride)  # pixels of `stride` in front of a row
        first = wide * stride - pad  # taps of the wide kernel that are none of the narrow
        wide_taps = math.ceil((first + taps) / stride)
        places = (width + 2 * pad - taps) // stride + wide_taps
        filled = min(width, (places - wide) * stride)

        scale = normaliser.scale[..., 0, 0].expand(cameras, 3) / WHITE
        mean = -normaliser.shift[..., 0, 0].expand(cameras, 3) / scale
        maps = (height + 2 * pad - taps) // stride + 1, places - wide_taps + 1
        between = numbers(kind)
        together = max(1, GROUP_BYTES // (outputs * maps[0] * maps[1] * between.itemsize))
        multiplied = outputs * 3 * stride * taps * wide_taps * maps[0] * maps[1]
        bytes_alone = kind == torch.int8 and norm is not None and heavy(multiplied)
        lying = torch.uint8 if bytes_alone else between
        self._buffer = weight.new_empty(cameras, height + 2 * pad, places * stride, 3, dtype=lying)
        self._buffer.copy_(mean.round()[:, None, None] if bytes_alone else mean[:, None, None])
        inner = self._buffer[:, pad : pad + height, wide * stride :]
        self._places, self._filled = inner[:, :, :filled], filled
        self.pictures = self._buffer.unflatten(2, (places, stride)).flatten(3).permute(0, 3, 1, 2)

        alike = len(normaliser.scale) == 1
        group = min(cameras, together) if alike else 1
        self.groups = [slice(n, min(n + group, cameras)) for n in range(0, cameras, group)]
        activation = RELU if norm is not None else NONE
        spread = weight.new_zeros(outputs, 3, taps, wide_taps * stride)
        spread[..., first : first + taps] = weight
        self._convolutions: list[Product] = []
        for number in range(1 if alike else cameras):
            narrow = spread * scale[number, :, None, None]
            narrow = of_bytes(narrow) if bytes_alone else narrow.to(between).to(weight.dtype)
            # What the mean, the picture's zero, gives: by the weights as they were rounded.
            shift = bias - (narrow * mean[number, :, None, None]).sum((1, 2, 3))
            blocks = narrow.unflatten(3, (wide_taps, stride))  # o, channel, tap, place, pixel
            joined = blocks.permute(0, 4, 1, 2, 3).flatten(1, 2)
            place = ((stride, 1), 0, (group, *self.pictures.shape[2:]))
            self._convolutions.append(
                ByteConvolution(joined, shift, *place, activation)
                if bytes_alone
                else Convolution(joined, shift, *place, between, activation)
            )
        self.size = self._convolutions[0].size

    def put(self, camera: int, picture: Tensor) -> None:
        """Takes a picture (H, W, 3) uint8: the conversion of its type is the only pass over it."""
        place = self._places[camera]
        place.copy_(picture[:, : self._filled].to(place.device))

    def __call__(self, group: slice) -> Tensor:
        """Maps (group, outputs, h, w) of these cameras' pictures."""
        of_all = len(self._convolutions) == 1
        return self._convolutions[0 if of_all else group.start](self.pictures[group])


class FastBackbone:
    """What `Stem` and the blocks after it make of all cameras' pictures."""

    def __init__(
        self,
        backbone: ResNet18 | LightResNet,
        normaliser: ImageNormaliser,
        size: Size,
        kind: torch.dtype,
    ) -> None:
        products, kind = kind, numbers(kind)
        self._steps: list[Step]
        self._maps: Tensor | None = None
        """Of all cameras, where each one's are put in their place at once."""
        self.early: Tensor
        """The early maps (cameras, channels, h, w) of the last call."""
        if isinstance(backbone, ResNet18):
            self.stem = Stem(backbone.conv1, normaliser, backbone.bn1, size, products)
            self._shrink: Callable[..., Tensor] = shrunk
            _, height, width = self.stem.size
            size = (size[0], (height + 1) // 2, (width + 1) // 2)
            if backbone.conv1.weight.device.type == "cpu":
                self._maps = torch.empty(*size, backbone.conv1.out_channels, dtype=kind)
            self._steps, self.size = _resnet(backbone, size, products)
            self._early_steps = len(backbone.get_submodule("layer1"))  # type: ignore[arg-type]
        else:
            self.stem = Stem(backbone.stem, normaliser, None, size, kind)
            self._shrink = _GroupNorm(backbone.norm, kind)
            self._steps, self.size = _light(backbone, (size[0], *self.stem.size[1:]), kind)
            self._early_steps = backbone.first_stage

    def __call__(self) -> Tensor:
        """(cameras * h * w, channels) of the pictures that the stem was given.

        From the smaller maps on all cameras at once: each weight is fetched once. Four pictures of
        480x640 one by one took a fifth more there.
        """
        if self._maps is None:
            maps = [self._shrink(self.stem(group)) for group in self.stem.groups]
            x = maps[0] if len(maps) == 1 else torch.cat(maps)
        else:
            for group in self.stem.groups:
                self._shrink(self.stem(group), self._maps[group])
            x = self._maps.permute(0, 3, 1, 2)
        for step in self._steps[: self._early_steps]:
            x = step(x)
        self.early = x
        for step in self._steps[self._early_steps :]:
            x = step(x)
        return x.permute(0, 2, 3, 1).flatten(0, 2)


def shrunk(maps: Tensor, out: Tensor | None = None) -> Tensor:
    """The largest of each 3x3, every second one, of channels-last maps that are not negative; on a
    CPU in the place of `out` (N, h, w, C), if that is given.

    On a CPU: rows, then columns, and as whole numbers, whose order is that of such floats. One map
    of 64 x 240 x 320 in bfloat16 takes 0.55 ms, torch's pooling, which notes places too, 1.9 ms.
    """
    if maps.device.type != "cpu":
        return F.max_pool2d(maps, 3, 2, 1)
    whole = torch.int16 if maps.itemsize == 2 else torch.int32
    largest = _largest_of_three(maps.permute(0, 2, 3, 1).view(whole), 1)
    place = None if out is None else out.view(whole)
    return _largest_of_three(largest, 2, place).view(maps.dtype).permute(0, 3, 1, 2)


def _largest_of_three(x: Tensor, dim: int, out: Tensor | None = None) -> Tensor:
    """Of each second place of a dimension and the two beside it."""
    count, length = (x.shape[dim] + 1) // 2, x.shape[dim] // 2
    here = x[(slice(None),) * dim + (slice(0, None, 2),)]
    after = x[(slice(None),) * dim + (slice(1, None, 2),)]
    if length == count:
        largest = torch.maximum(here, after, out=out)
    else:  # nothing is after the last
        largest = here.clone() if out is None else out.copy_(here)
        inner = largest.narrow(dim, 0, length)
        torch.maximum(inner, after, out=inner)
    inner = largest.narrow(dim, 1, count - 1)
    torch.maximum(inner, after.narrow(dim, 0, count - 1), out=inner)
    return largest


def folded(convolution: nn.Conv2d, norm: FrozenBatchNorm | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution and the frozen norm after it, in one."""
    weight = convolution.weight.detach()
    bias = convolution.bias
    start = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    if norm is None:
        return weight, start
    scale, shift = norm.scale_shift()
    return weight * scale[:, None, None, None], start * scale + shift


def _resnet(backbone: ResNet18, size: Size, kind: torch.dtype) -> tuple[list[Step], Size]:
    steps: list[Step] = []
    for layer in range(1, 5):
        for block in backbone.get_submodule(f"layer{layer}"):  # type: ignore[attr-defined]
            steps.append(made := _ResNetBlock(block, size, kind))
            size = made.size
    return steps, size


class _ResNetBlock:
    def __init__(self, block: ResNetBlock, size: Size, kind: torch.dtype) -> None:
        self._first = _convolution(block.conv1, block.bn1, size, kind, RELU)
        self._second = _convolution(block.conv2, block.bn2, self._first.size, kind, RELU)
        self._around: Product | None = None
        if block.downsample is not None:
            around, norm = block.downsample
            self._around = _convolution(around, norm, size, kind)  # type: ignore[arg-type]
        self.size = self._second.size

    def __call__(self, x: Tensor) -> Tensor:
        around = x if self._around is None else self._around(x)
        return self._second(self._first(x), around)


def _light(backbone: LightResNet, size: Size, kind: torch.dtype) -> tuple[list[Step], Size]:
    steps: list[Step] = []
    for block in backbone.blocks:
        steps.append(made := _LightBlock(block, size, kind))
        size = made.size
    return steps, size


class _LightBlock:
    def __init__(self, block: nn.Module, size: Size, kind: torch.dtype) -> None:
        self._first = _convolution(block.conv1, None, size, kind)  # type: ignore[arg-type]
        self._second = _convolution(block.conv2, None, self._first.size, kind)  # type: ignore[arg-type]
        self._norm1 = _GroupNorm(block.norm1, kind)  # type: ignore[arg-type]
        self._norm2 = _GroupNorm(block.norm2, kind, relu=False)  # type: ignore[arg-type]
        self._around: Product | None = None
        if isinstance(block.around, nn.Conv2d):
            self._around = _convolution(block.around, None, size, kind)
        self.size = self._second.size

    def __call__(self, x: Tensor) -> Tensor:
        y = self._norm2(self._second(self._norm1(self._first(x))))
        return F.relu_(y.add_(x if self._around is None else self._around(x)))


class _GroupNorm:
    def __init__(self, norm: nn.GroupNorm, kind: torch.dtype, relu: bool = True) -> None:
        self._groups, self._epsilon, self._relu = norm.num_groups, norm.eps, relu
        self._weight, self._bias = norm.weight.detach().to(kind), norm.bias.detach().to(kind)

    def __call__(self, x: Tensor) -> Tensor:
        y = F.group_norm(x, self._groups, self._weight, self._bias, self._epsilon)
        return F.relu_(y) if self._relu else y


def _convolution(
    layer: nn.Conv2d,
    norm: FrozenBatchNorm | None,
    size: Size,
    kind: torch.dtype,
    activation: str = NONE,
) -> Product:
    weight, bias = folded(layer, norm)
    padding = _pair(layer.padding)[0]
    return convolution(weight, bias, _pair(layer.stride), padding, size, kind, activation)


def _pair(lengths: object) -> tuple[int, int]:
    assert isinstance(lengths, tuple)
    return lengths
