"""Linear layers and convolutions whose products are of whole numbers of eight bits.

Of those a processor with AVX-512 VNNI (and BF16, for all else) multiplies twice as many as of
bfloat16. A weight is rounded by the largest of its output's weights, to 1/127 of it; what comes in
by the largest of its own numbers, each time anew: nothing is calibrated, nothing can saturate, and
the same input gives the same output whatever came before. What comes out is bfloat16.

The operators are those that torch.compile emits for quantised networks (torch.ops.onednn). Rounding
costs some passes over what comes in, so that it is worth it for large layers alone: see `heavy`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from aloha_stack.policies.fast_layers import NONE, Convolution, Linear, Size, size_after
from aloha_stack.policies.policy import ChunkError

HEAVY, OFTEN = 500_000_000, 200
"""Multiplications of a layer, and of each number that comes in, from which on rounding is worth its
time. Those of ACT's decoder are fewer: rounding them, too, saved 2 % of a chunk's time and put its
actions twice as far off."""
TOGETHER = 1 << 19
"""Numbers that are rounded at once: few enough to stay in the processor's cache (2.5 MiB with their
bytes), and enough for two threads to share."""
LARGEST, ZERO = 127, 128
"""Of signed bytes; and what stands for 0 where numbers of both signs come in."""


def multiplies_bytes(device: torch.device) -> bool:
    """Whether the device does so in hardware, by the operators that this needs."""
    return (
        device.type == "cpu"
        and torch.cpu._is_vnni_supported()
        and torch.cpu._is_avx512_bf16_supported()
        and hasattr(torch.ops.onednn, "qlinear_pointwise")
        and hasattr(torch.ops.onednn, "qconv2d_pointwise")
    )


def numbers(kind: torch.dtype) -> torch.dtype:
    """What lies between layers whose products are of this type."""
    return torch.bfloat16 if kind == torch.int8 else kind


def heavy(multiplications: int, inputs: int = 0) -> bool:
    """Whether a layer of so many is worth rounding so many numbers that come in."""
    return multiplications >= max(HEAVY, OFTEN * inputs)


def of_bytes(weight: Tensor) -> Tensor:
    """Weights as they are after rounding."""
    steps, scale, _ = _rounded(weight)
    return steps * scale.view(-1, *(1 for _ in weight.shape[1:]))


def linear(
    weight: Tensor, bias: Tensor | None, rows: int, kind: torch.dtype, activation: str = NONE
) -> "Linear | ByteLinear":
    """The layer with products of this type; of int8, where it is heavy."""
    if kind == torch.int8 and heavy(weight.numel() * rows, weight.shape[1] * rows):
        return ByteLinear(weight, bias, rows, activation)
    return Linear(weight, bias, rows, numbers(kind), activation)


def convolution(
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: int,
    size: Size,
    kind: torch.dtype,
    activation: str = NONE,
) -> "Convolution | ByteConvolution":
    """The layer with products of this type, for maps without a negative number; of int8, where it
    is heavy."""
    inputs = math.prod(size) * weight.shape[1]
    outputs = math.prod(size_after(size, weight.shape[2:], stride, padding))
    if kind == torch.int8 and heavy(weight.numel() * outputs, inputs):
        return ByteConvolution(weight, bias, stride, padding, size, activation)
    return Convolution(weight, bias, stride, padding, size, numbers(kind), activation)


class ByteLinear:
    """As fast_layers.Linear, of bfloat16."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, rows: int, activation: str = NONE
    ) -> None:
        """weight (outputs, inputs), bias (outputs,); for at most `rows` rows of x."""
        steps, *scales = _rounded(weight)
        self._weights = (torch.ops.onednn.qlinear_prepack(steps, [rows, weight.shape[1]]), *scales)
        self._bias = None if bias is None else bias.detach().float()
        self._after: tuple[object, ...] = (activation, [], "none")
        self._bytes = _Bytes(rows, weight.shape[1])

    def __call__(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """x (rows, inputs); added (rows, outputs), for a layer without activation."""
        low, high = (float(bound) for bound in torch.aminmax(x))
        came = self._bytes(x, *_steps(low, high))
        made = (1.0, 0, x.dtype)
        result: Tensor
        if added is None:
            result = torch.ops.onednn.qlinear_pointwise(
                *came, *self._weights, self._bias, *made, *self._after
            )
        else:
            how: tuple[object, ...] = (1.0, 0, "add", 1.0, NONE, [], "")
            result = torch.ops.onednn.qlinear_pointwise.binary(
                *came, *self._weights, added, self._bias, *made, *how
            )
        return result


class ByteConvolution:
    """As fast_layers.Convolution, of maps in bfloat16 without a negative number."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: Sequence[int],
        padding: int,
        size: Size,
        activation: str = NONE,
    ) -> None:
        """weight (outputs, inputs, height, width), bias (outputs,); for maps of `size`."""
        self.size = size_after(size, weight.shape[2:], stride, padding)  # of what comes out
        steps, *scales = _rounded(weight)
        self._place = (list(stride), [padding, padding], [1, 1], 1)
        came = (1.0, 0)  # the scale of what comes in is no part of how weights lie
        packed = torch.ops.onednn.qconv_prepack(
            steps, scales[0], *came, *self._place, [size[0], weight.shape[1], *size[1:]]
        )
        self._weights = (packed, *scales)
        self._bias = None if bias is None else bias.detach().float()
        self._after: tuple[object, ...] = (activation, [], "")
        self._bytes = _Bytes(math.prod(size), weight.shape[1])

    def __call__(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """x (count, inputs, height, width), channels last; bytes, as of a picture, are taken as
        they are. `added` as what comes out, which is put in its place."""
        maps = (x, 1.0, 0) if x.dtype == torch.uint8 else self._rounded(x)
        made = (1.0, 0, torch.bfloat16)
        result: Tensor
        if added is None:
            result = torch.ops.onednn.qconv2d_pointwise(
                *maps, *self._weights, self._bias, *self._place, *made, *self._after
            )
        else:
            how: tuple[object, ...] = (1.0, 0, "sum", 1.0, *self._after)
            result = torch.ops.onednn.qconv2d_pointwise.binary(
                *maps, *self._weights, added, self._bias, *self._place, *made, *how
            )
        return result

    def _rounded(self, x: Tensor) -> tuple[Tensor, float, int]:
        lying = x.permute(0, 2, 3, 1)
        # As whole numbers such floats have the same order, and are compared six times as fast.
        high = lying.view(torch.int16).max().view(x.dtype)
        came, scale, zero = self._bytes(lying.flatten(0, 2), *_steps(0.0, float(high)))
        return came.view(lying.shape).permute(0, 3, 1, 2), scale, zero


class _Bytes:
    """Numbers in bfloat16 as bytes."""

    def __init__(self, rows: int, width: int) -> None:
        """For at most so many numbers."""
        self._steps = torch.empty(rows, width, dtype=torch.uint8)
        self._together = min(rows, max(1, TOGETHER // width))
        self._rough = torch.empty(self._together, width, dtype=torch.bfloat16)
        self._whole = torch.empty(self._together, width, dtype=torch.int16)

    def __call__(self, x: Tensor, scale: float, zero: int) -> tuple[Tensor, float, int]:
        """x (rows, width) in steps of `scale` from `zero` on, until the next call; and those."""
        factor = 1 / scale
        for start in range(0, len(x), self._together):
            part = x[start : start + self._together]
            rough, whole = self._rough[: len(part)], self._whole[: len(part)]
            torch.mul(part, factor, out=rough)
            whole.copy_(rough.round_())  # by this way torch makes bytes five times as fast
            self._steps[start : start + len(part)].copy_(whole.add_(zero) if zero else whole)
        return self._steps[: len(x)], scale, zero


def _steps(low: float, high: float) -> tuple[float, int]:
    """How much one step is for numbers from `low` to `high`, and the byte of 0. Raises ChunkError
    for what is no number: a ReLU within the product would make 0 of it."""
    if not math.isfinite(low + high):
        raise ChunkError(f"a layer of the network was given numbers from {low} to {high}")
    if low >= 0:
        return high / 255 or 1.0, 0
    return max(-low, high) / LARGEST, ZERO


def _rounded(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whole numbers of eight bits, how much a step is in each output, and which number is 0."""
    weight = weight.detach().float()
    scale = (weight.flatten(1).abs().amax(1) / LARGEST).clamp_min(1e-30)
    steps = (weight.flatten(1) / scale[:, None]).round().to(torch.int8).view(weight.shape)
    return steps, scale, torch.zeros(len(weight), dtype=torch.int64)
