"""Transformer layers with positions added to queries and keys only, as in DETR.

Sources: Vaswani et al. 2017 (arXiv 1706.03762), Carion et al. 2020 (arXiv 2005.12872),
tonyzhaozh/act (detr/models/transformer.py). Parameters have the names and layouts of
torch.nn.MultiheadAttention and of those layers, so that published weights fit by name.

Tensors are batch first: B samples, N tokens, D numbers a token, H heads. Positions are (N, D), the
same for the whole batch. Because (x + p) W = x W + p W, a position enters as a bias of its token:
queries, keys and values of a layer come from one product, and what depends on positions alone is
computed once for a batch. Everything runs in the parameters' own type (float32, bfloat16).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies.dropout import Dropout, dropped

Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "gelu": F.gelu}


def attend(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, dropout: float
) -> Tensor:
    """softmax(query key^T / sqrt(d)) value for (B, H, N, d); `padding` (B, N) is True at keys that
    are to be ignored; `dropout` is the share of weights to drop.

    In bfloat16 on a CPU, plain products took 0.25 … 0.8 of the built-in fused attention's time,
    forward and backward, from 100 to 1202 tokens (torch 2.13); in float32 they took 1.2 … 2.4.
    """
    plain = query.device.type == "cpu" and query.dtype == torch.bfloat16
    return (plain_attention if plain else fused_attention)(query, key, value, padding, dropout)


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, dropout: float
) -> Tensor:
    """`attend` by torch's own, which keeps no scores in memory."""
    keep = None if padding is None else ~padding[:, None, None]
    return F.scaled_dot_product_attention(query, key, value, keep, dropout)


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, dropout: float
) -> Tensor:
    """`attend` step by step."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
    if padding is not None:
        scores = scores.masked_fill(padding[:, None, None], -torch.inf)
    weights = scores.softmax(dim=3)
    if dropout:
        weights = dropped(weights, dropout)
    return weights @ value


class Attention(nn.Module):
    """Multi-head attention, its weights as torch stacks them: query, key, value."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.width, self.heads, self.dropout = width, heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def of_self(self, x: Tensor, position: Tensor, padding: Tensor | None = None) -> Tensor:
        """x (B, N, D) attends to itself; position (N, D); padding (B, N). Returns (B, N, D)."""
        width = self.width
        parts = self._project(x, position, slice(0, 3 * width), 2 * width)
        query, key, value = (self._heads(part) for part in parts.split(width, dim=2))
        return self._joined(attend(query, key, value, padding, self._drop))

    def of_memory(
        self, x: Tensor, position: Tensor, memory: Tensor, memory_position: Tensor
    ) -> Tensor:
        """x (B, N, D), or (1, N, D) alike for all, attends to memory (B, M, D), with their
        positions. Returns (B, N, D)."""
        width = self.width
        query = self._project(x, position, slice(0, width), width)
        parts = self._project(memory, memory_position, slice(width, 3 * width), width)
        key, value = (self._heads(part) for part in parts.split(width, dim=2))
        queries = self._heads(query).expand(len(memory), -1, -1, -1)
        return self._joined(attend(queries, key, value, None, self._drop))

    def _project(self, x: Tensor, position: Tensor, rows: slice, moved: int) -> Tensor:
        """x times these rows of the weights; positions add to the first `moved` of them."""
        weight, bias = self.in_proj_weight[rows], self.in_proj_bias[rows]
        of_position = F.linear(position, weight[:moved])
        return x @ weight.t() + (F.pad(of_position, (0, len(weight) - moved)) + bias)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _joined(self, x: Tensor) -> Tensor:
        return self.out_proj(x.transpose(1, 2).flatten(2))

    @property
    def _drop(self) -> float:
        return self.dropout if self.training else 0.0


class FeedForward(nn.Module):
    """Two linear layers over each token; base of the layers, so that names stay the published."""

    def __init__(self, width: int, hidden: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.dropout = Dropout(dropout)
        self._activation = ACTIVATIONS[activation]

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self._activation(self.linear1(x))))


class EncoderLayer(FeedForward):
    """Self-attention, then feed-forward, each added to its input; norm before or after."""

    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float, activation: str, pre_norm: bool
    ) -> None:
        super().__init__(width, hidden, dropout, activation)
        self.pre_norm = pre_norm
        self.self_attn = Attention(width, heads, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, position: Tensor, padding: Tensor | None = None) -> Tensor:
        """x (B, N, D), position (N, D), padding (B, N) True where a token is none."""
        if self.pre_norm:
            x = x + self.dropout(self.self_attn.of_self(self.norm1(x), position, padding))
            return x + self.dropout(self.feed_forward(self.norm2(x)))
        x = self.norm1(x + self.dropout(self.self_attn.of_self(x, position, padding)))
        return self.norm2(x + self.dropout(self.feed_forward(x)))


class DecoderLayer(FeedForward):
    """Self-attention, attention to the memory, feed-forward."""

    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float, activation: str, pre_norm: bool
    ) -> None:
        super().__init__(width, hidden, dropout, activation)
        self.pre_norm = pre_norm
        self.self_attn = Attention(width, heads, dropout)
        self.multihead_attn = Attention(width, heads, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, position: Tensor, memory: Tensor, memory_position: Tensor
    ) -> Tensor:
        """x (B, T, D), position (T, D), memory (B, M, D), memory_position (M, D)."""
        cross = self.multihead_attn.of_memory
        if self.pre_norm:
            x = x + self.dropout(self.self_attn.of_self(self.norm1(x), position))
            x = x + self.dropout(cross(self.norm2(x), position, memory, memory_position))
            return x + self.dropout(self.feed_forward(self.norm3(x)))
        x = self.norm1(x + self.dropout(self.self_attn.of_self(x, position)))
        x = self.norm2(x + self.dropout(cross(x, position, memory, memory_position)))
        return self.norm3(x + self.dropout(self.feed_forward(x)))


class Encoder(nn.Module):
    """A stack of EncoderLayer; with norm first, the sum is normed at the end."""

    def __init__(self, layers: int, width: int, pre_norm: bool, **layer: int | float | str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(width, pre_norm=pre_norm, **layer)  # type: ignore[arg-type]
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if pre_norm else nn.Identity()

    def forward(self, x: Tensor, position: Tensor, padding: Tensor | None = None) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        for layer in self.layers:
            x = layer(x, position, padding)
        return self.norm(x)


class Decoder(nn.Module):
    """A stack of DecoderLayer and a norm. `first_only`: the output is the first layer's.

    tonyzhaozh/act configures seven layers and takes the output of the first (its issues 10, 25,
    51, 52); its weights give the same actions only so. The further layers are then not computed.
    """

    def __init__(
        self, layers: int, width: int, pre_norm: bool, first_only: bool, **layer: int | float | str
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(width, pre_norm=pre_norm, **layer)  # type: ignore[arg-type]
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.first_only = first_only
        self.dropout = layer["dropout"]

    def forward(self, position: Tensor, memory: Tensor, memory_position: Tensor) -> Tensor:
        """Queries that begin as zeros at position (T, D), memory (B, M, D). Returns (B, T, D).

        Before they have seen the memory they are alike in all samples, and computed once; but for
        dropout, which each sample has to itself.
        """
        alike = not (self.training and self.dropout)
        x = position.new_zeros(1 if alike else len(memory), *position.shape)
        for layer in self.layers[:1] if self.first_only else self.layers:
            x = layer(x, position, memory, memory_position)
        return self.norm(x)


def xavier(module: nn.Module) -> None:
    """Xavier-uniform weights for all matrices of a module, as DETR starts its transformer."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
