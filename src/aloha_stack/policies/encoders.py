"""From a camera's picture to numbers that say what is seen: the encoders of BYOL and VINN.

A backbone makes maps (B, channels, h, w) of pictures. Their mean over all places, (B, channels), is
what is published; a `grid` of means keeps where things are, which a mean over all gives up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies.backbones import LightResNet
from aloha_stack.policies.config import Checked, size, whole
from aloha_stack.policies.normalisation import IMAGENET_MEAN, IMAGENET_STD, ImageNormaliser
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.resnet import ResNet

RESNET18, RESNET50, LIGHT = "resnet18", "resnet50", "light"
BACKBONES = (RESNET18, RESNET50, LIGHT)
Grid = tuple[int, int]
WHOLE: Grid = (1, 1)


@dataclass(frozen=True)
class EncoderConfig(Checked):
    """Raises PolicyError, which names the key. The light backbone is for processors without a GPU;
    its norms are over groups of channels, so that it does the same in training and later."""

    backbone: str = RESNET18
    stages: tuple[int, ...] = (48, 96, 192)  # of the light backbone: channels
    blocks: int = 1
    stem_kernel: int = 8
    stem_stride: int = 4
    norm_groups: int = 8

    def __post_init__(self) -> None:
        self.need(self.backbone in BACKBONES, "backbone", " or ".join(BACKBONES))
        for name in ("blocks", "stem_kernel", "stem_stride", "norm_groups"):
            self.need(whole(getattr(self, name)), name, "a whole number from 1")
        stages = self.stages
        grouped = isinstance(stages, tuple) and all(
            size(one) and one % self.norm_groups == 0 for one in stages
        )
        multiples = f"channels, each a multiple of norm_groups ({self.norm_groups})"
        self.need(grouped and bool(stages), "stages", multiples)
        self.need(self.stem_kernel >= self.stem_stride, "stem_kernel", "at least stem_stride")

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "EncoderConfig":
        """The reverse. Raises PolicyError."""
        known = [field.name for field in fields(EncoderConfig)]
        unknown = [key for key in data if key not in known]
        if unknown:
            raise PolicyError(f"{unknown[0]}: unknown; an encoder has {', '.join(known)}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return EncoderConfig(**values)


class Encoder(nn.Module):
    """Pictures (B, 3, H, W), uint8 or float in 0 … 1, to maps; they are normalised here, once."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.normaliser = ImageNormaliser((IMAGENET_MEAN,), (IMAGENET_STD,))
        if config.backbone == LIGHT:
            self.backbone: nn.Module = LightResNet(
                config.stages,
                config.blocks,
                config.stem_kernel,
                config.stem_stride,
                config.norm_groups,
            )
        else:
            self.backbone = ResNet(18 if config.backbone == RESNET18 else 50)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def channels(self) -> int:
        """Of its maps."""
        return int(self.backbone.channels)  # type: ignore[arg-type]

    def forward(self, pictures: Tensor, grid: Grid = WHOLE) -> Tensor:
        """Means of the maps' parts, (B, rows * columns * channels) float32."""
        kind = next(self.backbone.parameters()).dtype
        maps = self.backbone(self.normaliser(pictures[:, None], kind)).float()
        return F.adaptive_avg_pool2d(maps, grid).movedim(1, -1).flatten(1)
