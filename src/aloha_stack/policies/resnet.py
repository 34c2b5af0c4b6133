"""ResNet18 and ResNet50 whose batch norms learn; names and layout are torchvision's.

Source: He et al. 2016 (arXiv 1512.03385); of the 50 layers the stride is in the 3x3 convolution, as
torchvision has it. What these learn fits `backbones.ResNet18`, whose norms are constants: the names
are the same. Pictures (B, 3, H, W), maps (B, channels, H / 32, W / 32), each rounded up.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"""Blocks of the four stages."""
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
"""Channels that leave a block of three convolutions, by those inside."""


class Block(nn.Module):
    """Two 3x3 convolutions, or `deep` 1x1, 3x3, 1x1, and the way around them."""

    def __init__(self, inputs: int, width: int, stride: int, deep: bool) -> None:
        super().__init__()
        outputs = width * EXPANSION if deep else width
        if deep:
            self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        else:
            self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv3: nn.Module | None = None
        if deep:
            self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.conv3 is not None:
            y = self.bn3(self.conv3(F.relu(y, inplace=True)))
        if self.downsample is not None:
            x = self.downsample(x)
        return F.relu(y + x, inplace=True)


class ResNet(nn.Module):
    """18 or 50 layers, without a head."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        deep = depth == 50
        self.channels = WIDTHS[-1] * (EXPANSION if deep else 1)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for stage, (width, blocks) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True)):
            made = []
            for number in range(blocks):
                stride = 2 if stage and not number else 1
                made.append(Block(inputs, width, stride, deep))
                inputs = width * (EXPANSION if deep else 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*made))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """The last maps."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.max_pool2d(x, 3, 2, 1)
        for layer in range(1, 5):
            x = self.get_submodule(f"layer{layer}")(x)
        return x


def torchvision_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A classifier's without its head, with the counters that older files lack."""
    used = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    for name in list(used):
        if name.endswith("running_var"):
            counter = name.replace("running_var", "num_batches_tracked")
            used.setdefault(counter, torch.zeros((), dtype=torch.int64))
    return used
