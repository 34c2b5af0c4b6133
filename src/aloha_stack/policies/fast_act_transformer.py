"""Transformer layers with constant weights and positions, for one sample (policies/transformer.py).

Tokens are (N, D) of `kind`, the type of the products, between the layers, too: what a part gives
is added to its input as the last product's result is written, and nothing passes over all tokens
only to change their type. Norms are computed in float32.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies.fast_act_layers import Linear, attend
from aloha_stack.policies.transformer import (
    ACTIVATIONS,
    Attention,
    DecoderLayer,
    EncoderLayer,
    FeedForward,
)

Part = Callable[..., Tensor]
"""Of what it is added to, what it sees, and its memory."""


class FastEncoderLayer:
    """Self-attention and feed-forward."""

    def __init__(self, layer: EncoderLayer, positions: Tensor, kind: torch.dtype) -> None:
        """positions (N, D)."""
        attention = _SelfAttention(layer.self_attn, positions, kind)
        feed_forward = _FeedForward(layer, len(positions), kind)
        self._steps = (
            _Added(attention, layer.norm1, layer.pre_norm),
            _Added(feed_forward, layer.norm2, layer.pre_norm),
        )

    def __call__(self, x: Tensor) -> Tensor:
        """(N, D) to (N, D)."""
        for step in self._steps:
            x = step(x)
        return x


class FastDecoderLayer:
    """Self-attention, attention to the memory, feed-forward."""

    def __init__(
        self,
        layer: DecoderLayer,
        queries: Tensor,
        positions: Tensor,
        first: bool,
        kind: torch.dtype,
    ) -> None:
        """queries (T, D), positions (N, D) of the memory. The first layer's tokens are always 0:
        what its self-attention gives is computed here."""
        self._start: Tensor | None = None
        if first:
            self._start = _first_self_attention(layer, queries).to(kind)
        else:
            attention = _SelfAttention(layer.self_attn, queries, kind)
            self._self = _Added(attention, layer.norm1, layer.pre_norm)
        attention_to_memory = _CrossAttention(layer.multihead_attn, queries, len(positions), kind)
        self._of_memory = _Added(attention_to_memory, layer.norm2, layer.pre_norm)
        feed_forward = _FeedForward(layer, len(queries), kind)
        self._last = _Added(feed_forward, layer.norm3, layer.pre_norm)

    def __call__(self, x: Tensor, keys_of: Tensor, memory: Tensor) -> Tensor:
        """(T, D), which is not looked at by the first layer; memory (N, D), and the same with its
        positions added."""
        x = self._self(x) if self._start is None else self._start
        return self._last(self._of_memory(x, keys_of, memory))


class LayerNorm:
    """Of each token (N, D)."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self._weight, self._bias = norm.weight.detach().clone(), norm.bias.detach().clone()
        self._epsilon = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        weight, bias = self._weight, self._bias
        if x.device.type != "cpu":  # of two types it takes there only
            weight, bias = weight.to(x.dtype), bias.to(x.dtype)
        return F.layer_norm(x, weight.shape, weight, bias, self._epsilon)


class _Added:
    """A part of a layer, added to its input; the norm comes before the part or after the sum."""

    def __init__(self, part: Part, norm: nn.LayerNorm, pre_norm: bool) -> None:
        self._part, self._norm, self._pre_norm = part, LayerNorm(norm), pre_norm

    def __call__(self, x: Tensor, *memory: Tensor) -> Tensor:
        if self._pre_norm:
            return self._part(x, self._norm(x), *memory)
        return self._norm(self._part(x, x, *memory))


class _SelfAttention:
    def __init__(self, attention: Attention, positions: Tensor, kind: torch.dtype) -> None:
        width, count = attention.width, len(positions)
        weight, bias = _scaled(attention)
        self._positions = positions.to(kind)
        self._query_key = Linear(weight[: 2 * width], bias[: 2 * width], count, kind)
        self._value = Linear(weight[2 * width :], bias[2 * width :], count, kind)
        self._out = Linear(attention.out_proj.weight, attention.out_proj.bias, count, kind)
        self._heads, self._width = attention.heads, width

    def __call__(self, added: Tensor, x: Tensor) -> Tensor:
        query, key = self._query_key(x + self._positions).split(self._width, dim=1)
        return self._out(attend(query, key, self._value(x), self._heads), added)


class _CrossAttention:
    def __init__(
        self, attention: Attention, queries: Tensor, memory: int, kind: torch.dtype
    ) -> None:
        width, count = attention.width, len(queries)
        weights, biases = (part.split(width) for part in _scaled(attention))
        # What is added to a query is the same in each call.
        self._query_bias = (F.linear(queries, weights[0]) + biases[0]).to(kind)
        self._query = Linear(weights[0], None, count, kind)
        self._key, self._value = (
            Linear(weight, bias, memory, kind)
            for weight, bias in zip(weights[1:], biases[1:], strict=True)
        )
        self._out = Linear(attention.out_proj.weight, attention.out_proj.bias, count, kind)
        self._heads = attention.heads

    def __call__(self, added: Tensor, x: Tensor, keys_of: Tensor, memory: Tensor) -> Tensor:
        query = self._query(x, self._query_bias)
        attended = attend(query, self._key(keys_of), self._value(memory), self._heads)
        return self._out(attended, added)


class _FeedForward:
    def __init__(self, layer: FeedForward, rows: int, kind: torch.dtype) -> None:
        name = next(name for name, found in ACTIVATIONS.items() if found is layer._activation)
        self._first = Linear(layer.linear1.weight, layer.linear1.bias, rows, kind, name)
        self._second = Linear(layer.linear2.weight, layer.linear2.bias, rows, kind)

    def __call__(self, added: Tensor, x: Tensor) -> Tensor:
        return self._second(self._first(x), added)


def _scaled(attention: Attention) -> tuple[Tensor, Tensor]:
    """Weight and bias of query, key, value, the query's divided by the root of a head's width."""
    scale = (attention.width // attention.heads) ** -0.5
    weight, bias = attention.in_proj_weight.detach(), attention.in_proj_bias.detach()
    factor = torch.ones_like(bias)
    factor[: attention.width] = scale
    return weight * factor[:, None], bias * factor


def _first_self_attention(layer: DecoderLayer, queries: Tensor) -> Tensor:
    """What self-attention makes of tokens that are 0, (T, D)."""
    zeros = torch.zeros_like(queries)[None]
    if layer.pre_norm:
        return layer.self_attn.of_self(layer.norm1(zeros), queries)[0]
    return layer.norm1(layer.self_attn.of_self(zeros, queries))[0]
