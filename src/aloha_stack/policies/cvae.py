"""The encoder of the CVAE: in training it tells from the demonstration what its style was.

Source: Zhao et al. 2023 (arXiv 2304.13705, section IV-C, appendix C), tonyzhaozh/act
(detr/models/detr_vae.py). It is not needed at inference, where z = 0, the mean of the prior.
"""

import torch
from torch import Tensor, nn

from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.positions import sine_positions
from aloha_stack.policies.transformer import Encoder


class LatentEncoder(nn.Module):
    """From state and action chunk to the mean and log-variance of z.

    The tokens are a learned one (class), the state, and each action; what the encoder makes of the
    first is z's distribution. Actions that are padding are not attended to.
    """

    positions: Tensor

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        width = config.hidden
        self.class_token = nn.Parameter(torch.randn(1, width))
        self.state_projection = nn.Linear(config.state_dim, width)
        self.action_projection = nn.Linear(config.action_dim, width)
        self.encoder = Encoder(
            config.cvae_layers,
            width,
            config.pre_norm,
            heads=config.heads,
            hidden=config.feedforward,
            dropout=config.dropout,
            activation=config.activation,
        )
        self.head = nn.Linear(width, 2 * config.latent)
        # z begins near its prior: else the first thousand steps go into a divergence of about 10.
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)
        positions = sine_positions(2 + config.chunk, width)
        self.register_buffer("positions", positions, persistent=False)

    def forward(
        self, state: Tensor, action: Tensor, is_pad: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """state (B, S), action (B, T, A), is_pad (B, T) bool: mean and log-variance, (B, latent).

        Both come as float32, whatever type the network runs in.
        """
        class_token = self.class_token.expand(len(state), 1, -1)
        tokens = torch.cat(
            (class_token, self.state_projection(state)[:, None], self.action_projection(action)), 1
        )
        padding = None
        if is_pad is not None:
            padding = torch.cat((is_pad.new_zeros(len(state), 2), is_pad), 1)
        encoded = self.encoder(tokens, self.positions.to(tokens.dtype), padding)[:, 0]
        mean, log_var = self.head(encoded).float().chunk(2, dim=1)
        return mean, log_var


def sample(mean: Tensor, log_var: Tensor, noise: Tensor | None = None) -> Tensor:
    """mean + sigma * noise, with standard normal noise (drawn here if it is not given)."""
    noise = torch.randn_like(mean) if noise is None else noise
    return mean + (log_var / 2).exp() * noise


def divergence(mean: Tensor, log_var: Tensor) -> Tensor:
    """(B,): KL(N(mean, sigma^2) || N(0, 1)), summed over the latent's dimensions."""
    return -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(dim=1)
