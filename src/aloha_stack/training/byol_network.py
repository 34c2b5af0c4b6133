"""BYOL's networks: one that learns, for each camera, and a slow copy of it that is its target.

Sources: Grill et al. 2020 (arXiv 2006.07733); sizes of heads as in VINN (arXiv 2112.01511).
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies.encoders import Encoder, EncoderConfig


def head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """A projector, or a predictor."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, outputs),
    )


class Eye(nn.Module):
    """One camera's encoder and projector."""

    def __init__(self, config: EncoderConfig, hidden: int, outputs: int) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.projector = head(self.encoder.channels, hidden, outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, outputs)."""
        projected: Tensor = self.projector(self.encoder(pictures))
        return projected


class Byol(nn.Module):
    """Of all cameras. Only what is `learning` has gradients."""

    def __init__(
        self, cameras: Sequence[str], config: EncoderConfig, hidden: int, outputs: int
    ) -> None:
        super().__init__()
        self.cameras = tuple(cameras)
        self.online = nn.ModuleDict({name: Eye(config, hidden, outputs) for name in cameras})
        self.predictor = nn.ModuleDict({name: head(outputs, hidden, outputs) for name in cameras})
        self.target = deepcopy(self.online).requires_grad_(False)

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """How far each view (B, C, 3, H, W) is from telling the other, (C,); without a second the
        features of the pictures, (B, C, channels)."""
        if second is None:
            seen = [
                self.online[name].encoder(first[:, n])  # type: ignore[operator]
                for n, name in enumerate(self.cameras)
            ]
            return torch.stack(seen, dim=1)
        return torch.stack(
            [self._distance(name, first[:, n], second[:, n]) for n, name in enumerate(self.cameras)]
        )

    def _distance(self, camera: str, first: Tensor, second: Tensor) -> Tensor:
        views = torch.cat([first, second])
        predicted = self.predictor[camera](self.online[camera](views))
        with torch.no_grad():
            wanted = self.target[camera](torch.cat([second, first]))
        return 2 * distance(predicted, wanted).mean()  # the sum of both directions

    @torch.no_grad()
    def update_target(self, decay: float) -> None:
        """The target follows what was learnt."""
        torch._foreach_lerp_(
            list(self.target.parameters()), list(self.online.parameters()), weight=1 - decay
        )


def distance(predicted: Tensor, wanted: Tensor) -> Tensor:
    """2 - 2 cos of the angle between rows (B, n): (B,)."""
    return 2 - 2 * F.cosine_similarity(predicted.float(), wanted.float(), dim=-1)
