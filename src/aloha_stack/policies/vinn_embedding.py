"""What a VINN compares: each camera's features, turned to their principal components, one vector.

Always computed in evaluation mode. A batch norm in training mode at a batch of one shifts features
by as much as their length (a known mistake); `train()` therefore changes nothing here.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from aloha_stack.policies.encoders import Encoder
from aloha_stack.policies.vinn_config import VinnConfig


class Projection(nn.Module):
    """(features - mean) / scale, and where `dims` is given its principal components."""

    mean: Tensor
    scale: Tensor
    basis: Tensor | None

    def __init__(self, features: int, dims: int | None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("basis", None if dims is None else torch.zeros(features, dims))

    def forward(self, features: Tensor) -> Tensor:
        """(B, features) to (B, dims)."""
        centred = (features - self.mean) / self.scale
        return centred if self.basis is None else centred @ self.basis

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """To features (N, features), N > dims: root mean square distance from their mean is 1."""
        self.mean.copy_(features.mean(dim=0))
        centred = features - self.mean
        self.scale.copy_(centred.square().sum(dim=1).mean().sqrt().clamp(min=1e-6))
        if self.basis is not None:
            # Of fewer pictures than numbers: eigenvectors of the products of pictures.
            _, vectors = torch.linalg.eigh(centred.double() @ centred.double().T)
            best = vectors[:, -self.basis.shape[1] :].flip(1)
            basis = centred.double().T @ best
            self.basis.copy_(basis / basis.norm(dim=0).clamp(min=1e-9))


class Embedding(nn.Module):
    """Pictures of all cameras to (B, D)."""

    def __init__(self, config: VinnConfig, cameras: Sequence[str]) -> None:
        super().__init__()
        self.config, self.cameras = config, tuple(cameras)
        self.encoders = nn.ModuleDict()
        self.projections = nn.ModuleDict()
        if config.encoder is not None:
            rows, columns = config.grid
            for camera in cameras:
                encoder = Encoder(config.encoder)
                self.encoders[camera] = encoder
                count = rows * columns * encoder.channels
                self.projections[camera] = Projection(count, config.dims)
        super().train(False)
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Embedding":
        """Stays in evaluation mode."""
        return self

    @torch.no_grad()
    def features(self, camera: str, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, features), before their projection."""
        found: Tensor = self.encoders[camera](pictures, self.config.grid)
        return found

    @torch.no_grad()
    def forward(self, pictures: Mapping[str, Tensor]) -> Tensor:
        """Each camera's pictures (B, 3, H, W), cropped, to (B, D) float32."""
        parts = [
            self.projections[camera](self.features(camera, pictures[camera]))
            for camera in self.encoders
        ]
        return torch.cat(parts, dim=1)
