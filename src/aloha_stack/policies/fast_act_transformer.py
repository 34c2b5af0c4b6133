"""Transformer layers with constant weights and positions, for one sample (policies/transformer.py).

A position enters as a bias of its token, (x + p) W = x W + p W, and p W is computed once. Tokens
are (N, D) float32 between the layers; `kind` is the type of the products.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aloha_stack.policies.fast_bytes import linear, numbers
from aloha_stack.policies.fast_layers import attend
from aloha_stack.policies.transformer import (
    ACTIVATIONS,
    Attention,
    DecoderLayer,
    EncoderLayer,
    FeedForward,
)

Part = Callable[..., Tensor]


class FastEncoderLayer:
    """Self-attention and feed-forward."""

    def __init__(self, layer: EncoderLayer, positions: Tensor, kind: torch.dtype) -> None:
        """positions (N, D)."""
        attention = _SelfAttention(layer.self_attn, positions, kind)
        feed_forward = _FeedForward(layer, len(positions), kind)
        self._steps = (
            _Added(attention, layer.norm1, layer.pre_norm, kind),
            _Added(feed_forward, layer.norm2, layer.pre_norm, kind),
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
            self._start = _first_self_attention(layer, queries)
        else:
            attention = _SelfAttention(layer.self_attn, queries, kind)
            self._self = _Added(attention, layer.norm1, layer.pre_norm, kind)
        attention_to_memory = _CrossAttention(layer.multihead_attn, queries, positions, kind)
        self._of_memory = _Added(attention_to_memory, layer.norm2, layer.pre_norm, kind)
        feed_forward = _FeedForward(layer, len(queries), kind)
        self._last = _Added(feed_forward, layer.norm3, layer.pre_norm, kind)

    def __call__(self, x: Tensor, memory: Tensor) -> Tensor:
        """(T, D), which is not looked at by the first layer, and memory (N, D) of `kind`."""
        x = self._self(x) if self._start is None else self._start
        return self._last(self._of_memory(x, memory))


class LayerNorm:
    """Of each token (N, D), float32."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self._weight, self._bias = norm.weight.detach().clone(), norm.bias.detach().clone()
        self._epsilon = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self._weight.shape, self._weight, self._bias, self._epsilon)


class _Added:
    """A part of a layer, added to its input; the norm comes before the part or after the sum."""

    def __init__(self, part: Part, norm: nn.LayerNorm, pre_norm: bool, kind: torch.dtype) -> None:
        self._part, self._norm = part, LayerNorm(norm)
        self._pre_norm, self._kind = pre_norm, numbers(kind)

    def __call__(self, x: Tensor, *memory: Tensor) -> Tensor:
        if self._pre_norm:
            return x + self._part(self._norm(x).to(self._kind), *memory).to(x.dtype)
        return self._norm(x + self._part(x.to(self._kind), *memory).to(x.dtype))


class _SelfAttention:
    def __init__(self, attention: Attention, positions: Tensor, kind: torch.dtype) -> None:
        width, count = attention.width, len(positions)
        weight, bias = _scaled(attention)
        of_position = F.linear(positions, weight[: 2 * width])
        self._bias = (F.pad(of_position, (0, width)) + bias).to(numbers(kind))
        self._project = linear(weight, None, count, kind)
        self._out = linear(attention.out_proj.weight, attention.out_proj.bias, count, kind)
        self._heads, self._width = attention.heads, width

    def __call__(self, x: Tensor) -> Tensor:
        query, key, value = self._project(x, self._bias).split(self._width, dim=1)
        return self._out(attend(query, key, value, self._heads))


class _CrossAttention:
    def __init__(
        self, attention: Attention, queries: Tensor, positions: Tensor, kind: torch.dtype
    ) -> None:
        width, count = attention.width, len(queries)
        weight, bias = _scaled(attention)
        self._query_bias = (F.linear(queries, weight[:width]) + bias[:width]).to(numbers(kind))
        self._query = linear(weight[:width], None, count, kind)
        of_position = F.linear(positions, weight[width : 2 * width])
        self._memory_bias = (F.pad(of_position, (0, width)) + bias[width:]).to(numbers(kind))
        self._memory = linear(weight[width:], None, len(positions), kind)
        self._out = linear(attention.out_proj.weight, attention.out_proj.bias, count, kind)
        self._heads, self._width = attention.heads, width

    def __call__(self, x: Tensor, memory: Tensor) -> Tensor:
        key, value = self._memory(memory, self._memory_bias).split(self._width, dim=1)
        query = self._query(x, self._query_bias)
        return self._out(attend(query, key, value, self._heads))


class _FeedForward:
    def __init__(self, layer: FeedForward, rows: int, kind: torch.dtype) -> None:
        name = next(name for name, found in ACTIVATIONS.items() if found is layer._activation)
        self._first = linear(layer.linear1.weight, layer.linear1.bias, rows, kind, name)
        self._second = linear(layer.linear2.weight, layer.linear2.bias, rows, kind)

    def __call__(self, x: Tensor) -> Tensor:
        return self._second(self._first(x))


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
