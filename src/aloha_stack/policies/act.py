"""ACT, action chunking with transformers: from pictures and joints to a chunk of joint targets.

Source: Zhao et al. 2023, "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware"
(arXiv 2304.13705), and tonyzhaozh/act (detr/models/detr_vae.py, policy.py). What differs: all
configured decoder layers are in use (`first_layer_only` gives the published behaviour), the
padding head, which no loss trains, is left out, and all that a smaller network needs can be set,
tokens that say where things are (`keypoints`) included.

Shapes: B samples, C cameras, T ticks of a chunk, D = hidden. States and actions are *normalised*
here (policies/normalisation.py); pictures are not.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from aloha_stack.policies.act_config import LIGHT, ActConfig
from aloha_stack.policies.backbones import LightResNet, ResNet18
from aloha_stack.policies.cvae import LatentEncoder, divergence, sample
from aloha_stack.policies.keypoints import Keypoints
from aloha_stack.policies.normalisation import ImageNormaliser
from aloha_stack.policies.positions import ImagePositions
from aloha_stack.policies.transformer import Decoder, Encoder, xavier


class ActOutput(NamedTuple):
    """What the network says; mean and log-variance of z only in training, with a CVAE."""

    action: Tensor  # (B, T, A) normalised
    mean: Tensor | None = None  # (B, latent) float32
    log_var: Tensor | None = None


class ActLoss(NamedTuple):
    """Scalars, float32."""

    total: Tensor
    l1: Tensor  # over the steps that are no padding, in normalised units
    kl: Tensor  # 0 without a CVAE


class Act(nn.Module):
    """The network. It runs in the type of its parameters; sub-modules are in order of use."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden
        layer: dict[str, int | float | str] = {
            "heads": config.heads,
            "hidden": config.feedforward,
            "dropout": config.dropout,
            "activation": config.activation,
        }
        self.image_normaliser = ImageNormaliser(config.image_mean, config.image_std)
        self.backbone = _backbone(config)
        self.image_projection = nn.Linear(self.backbone.channels, width)
        self.image_positions = ImagePositions(width)
        self.camera_embedding: nn.Parameter | None = None
        if config.camera_embedding:
            self.camera_embedding = nn.Parameter(0.1 * torch.randn(config.cameras, width))
        self.keypoints: Keypoints | None = None
        if config.keypoints:
            channels = self.backbone.early_channels
            self.keypoints = Keypoints(channels, config.keypoints, config.cameras, width)
        self.latent_projection = nn.Linear(config.latent, width)
        self.state_projection = nn.Linear(config.state_dim, width)
        self.token_positions = nn.Parameter(torch.randn(2, width))  # of latent and state
        self.encoder = Encoder(config.encoder_layers, width, config.pre_norm, **layer)
        self.queries = nn.Parameter(torch.randn(config.chunk, width))
        self.decoder = Decoder(
            config.decoder_layers, width, config.pre_norm, config.first_layer_only, **layer
        )
        self.action_head = nn.Linear(width, config.action_dim)
        self.latent_encoder = LatentEncoder(config) if config.cvae else None
        xavier(self.encoder)
        xavier(self.decoder)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        images: Tensor,
        state: Tensor,
        action: Tensor | None = None,
        is_pad: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> ActOutput:
        """The chunk for what is seen.

        images (B, C, 3, H, W) RGB, uint8 or float in 0 … 1, best as a permuted view of pictures
        that lie as (B, C, H, W, 3); state (B, S). With a demonstration, action (B, T, A) and
        is_pad (B, T) bool, z is drawn from what the CVAE's encoder says of it (`noise` (B, latent):
        the standard normal numbers to use); without one z = 0.
        """
        kind = self.action_head.weight.dtype
        state = state.to(kind)
        if action is None or self.latent_encoder is None:
            z = state.new_zeros(len(state), self.config.latent)
            return ActOutput(self.decode(self.image_tokens(images), state, z))
        mean, log_var = self.latent_encoder(state, action.to(kind), is_pad)
        z = sample(mean, log_var, noise).to(kind)
        return ActOutput(self.decode(self.image_tokens(images), state, z), mean, log_var)

    def image_tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, C * h * w, D) of pictures (B, C, 3, H, W), and their positions, without B;
        those of keypoints (C more) come last."""
        cameras = images.shape[1]
        if images.dim() != 5 or cameras != self.config.cameras or images.shape[2] != 3:
            raise ValueError(
                f"images: expected (B, {self.config.cameras}, 3, H, W), found {tuple(images.shape)}"
            )
        kind = self.image_projection.weight.dtype
        early = self.backbone.early(self.image_normaliser(images, kind))
        maps = self.backbone.late(early)  # (B * C, channels, h, w)
        tokens = self.image_projection(maps.flatten(2).transpose(1, 2))
        positions = self.image_positions(*maps.shape[2:], like=tokens).expand(cameras, -1, -1)
        if self.camera_embedding is not None:
            positions = positions + self.camera_embedding[:, None]
        tokens, positions = (
            tokens.unflatten(0, (-1, cameras)).flatten(1, 2),
            positions.flatten(0, 1),
        )
        if self.keypoints is not None:
            points = self.keypoints(early).unflatten(0, (-1, cameras))
            tokens = torch.cat((tokens, points), dim=1)
            positions = torch.cat((positions, self.keypoints.positions))
        return tokens, positions

    def decode(self, image_tokens: tuple[Tensor, Tensor], state: Tensor, z: Tensor) -> Tensor:
        """Actions (B, T, A) from tokens and positions of the pictures, state (B, S), z (B, L)."""
        tokens, positions = image_tokens
        latent, joints = self.latent_projection(z), self.state_projection(state)
        tokens = torch.cat((latent[:, None], joints[:, None], tokens), dim=1)
        positions = torch.cat((self.token_positions, positions))
        memory = self.encoder(tokens, positions)
        return self.action_head(self.decoder(self.queries, memory, positions))


def act_loss(
    output: ActOutput,
    action: Tensor,
    is_pad: Tensor | None,
    kl_weight: float = 10.0,
    over_padding: bool = False,
) -> ActLoss:
    """Mean absolute error over the valid steps + kl_weight * KL divergence of z.

    action (B, T, A) normalised, is_pad (B, T) bool. `over_padding` divides by all steps, padding
    (which counts as 0) included: the published code's mean.
    """
    error = (output.action.float() - action.float()).abs().mean(dim=2)
    if is_pad is None:
        l1 = error.mean()
    else:
        valid = ~is_pad
        steps = valid.numel() if over_padding else valid.sum().clamp(min=1)
        l1 = (error * valid).sum() / steps
    kl = torch.zeros((), device=l1.device)
    if output.mean is not None and output.log_var is not None:
        kl = divergence(output.mean, output.log_var).mean()
    return ActLoss(l1 + kl_weight * kl, l1, kl)


def _backbone(config: ActConfig) -> ResNet18 | LightResNet:
    if config.backbone == LIGHT:
        return LightResNet(
            config.stages,
            config.blocks,
            config.stem_kernel,
            config.stem_stride,
            config.norm_groups,
        )
    return ResNet18()
