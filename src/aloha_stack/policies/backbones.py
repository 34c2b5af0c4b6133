"""From pictures to feature maps: ResNet18 as published, and a light residual network.

Sources: He et al. 2016 (arXiv 1512.03385), torchvision's resnet18 (names and layout of the
parameters, start values), Wu & He 2018 (GroupNorm, arXiv 1803.08494). Pictures (B, 3, H, W) and
maps (B, channels, h, w) lie in memory as channels-last.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies.group_norm import GroupNorm

EPSILON = 1e-5


class FrozenBatchNorm(nn.Module):
    """Batch norm whose statistics and weights are constants, given as a convolution's factor.

    It is not applied to a map: y = scale * conv(x, w) + shift = conv(x, scale * w) + shift, so a
    convolution takes it into its weights (`conv_norm`), which costs nothing a pixel.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def scale_shift(self) -> tuple[Tensor, Tensor]:
        """(channels,) each."""
        scale = self.weight * (self.running_var + EPSILON).rsqrt()
        return scale, self.bias - self.running_mean * scale


def conv_norm(conv: nn.Conv2d, norm: FrozenBatchNorm, x: Tensor) -> Tensor:
    """A convolution without bias, and the norm after it, in one."""
    scale, shift = norm.scale_shift()
    weight = conv.weight * scale.to(conv.weight.dtype)[:, None, None, None]
    return F.conv2d(x, weight, shift.to(weight.dtype), conv.stride, conv.padding)


class ResNetBlock(nn.Module):
    """Two 3x3 convolutions and the way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = FrozenBatchNorm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = FrozenBatchNorm(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), FrozenBatchNorm(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(conv_norm(self.conv1, self.bn1, x), inplace=True)
        y = conv_norm(self.conv2, self.bn2, y)
        if self.downsample is not None:
            x = conv_norm(self.downsample[0], self.downsample[1], x)  # type: ignore[arg-type]
        return F.relu_(y + x)


class ResNet18(nn.Module):
    """(B, 3, H, W) to (B, 512, H / 32, W / 32), each rounded up: torchvision's, no head. Its early
    maps are (B, 64, H / 4, W / 4)."""

    channels = 512
    early_channels = 64

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = FrozenBatchNorm(64)
        widths = (64, 64, 128, 256, 512)
        for layer in range(1, 5):
            inputs, outputs = widths[layer - 1], widths[layer]
            first = ResNetBlock(inputs, outputs, 1 if layer == 1 else 2)
            self.add_module(f"layer{layer}", nn.Sequential(first, ResNetBlock(outputs, outputs, 1)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def early(self, x: Tensor) -> Tensor:
        """The stem and the first stage. The largest of what ReLU leaves is what ReLU leaves of the
        largest, and so it has a quarter to do."""
        x = F.max_pool2d(conv_norm(self.conv1, self.bn1, x), 3, 2, 1)
        return self.get_submodule("layer1")(F.relu_(x))

    def late(self, early: Tensor) -> Tensor:
        """The other stages."""
        x = early
        for layer in range(2, 5):
            x = self.get_submodule(f"layer{layer}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.late(self.early(x))


class LightBlock(nn.Module):
    """Two 3x3 convolutions with GroupNorm, and the way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = GroupNorm(groups, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = GroupNorm(groups, outputs)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.around = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu_(self.norm2(self.conv2(y)) + self.around(x))


class LightResNet(nn.Module):
    """A wide-stride stem and a residual stage for each of `widths`; all but the first halve.

    (B, 3, H, W) to (B, widths[-1], h, w), h = H / (stride * 2 ** (len(widths) - 1)) rounded up. Its
    early maps are (B, widths[0], H / stride, W / stride).
    """

    def __init__(
        self, widths: tuple[int, ...], blocks: int, stem_kernel: int, stem_stride: int, groups: int
    ) -> None:
        super().__init__()
        self.channels = widths[-1]
        self.early_channels, self.first_stage = widths[0], blocks
        # Half of what the kernel is wider than the stride: a map of H / stride rows.
        pad = (stem_kernel - stem_stride + 1) // 2
        self.stem = nn.Conv2d(3, widths[0], stem_kernel, stem_stride, pad, bias=False)
        self.norm = GroupNorm(groups, widths[0])
        layers: list[nn.Module] = []
        inputs = widths[0]
        for stage, outputs in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                layers.append(LightBlock(inputs, outputs, stride, groups))
                inputs = outputs
        self.blocks = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def early(self, x: Tensor) -> Tensor:
        """The stem and the first stage."""
        return self.blocks[: self.first_stage](F.relu(self.norm(self.stem(x)), inplace=True))

    def late(self, early: Tensor) -> Tensor:
        """The other stages."""
        return self.blocks[self.first_stage :](early)

    def forward(self, x: Tensor) -> Tensor:
        return self.late(self.early(x))
