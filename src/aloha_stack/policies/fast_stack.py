"""Stacks of layers as the recurrent networks have them, computed faster for acting on a CPU.

What differs is how they are computed, not what: batch norm is in the weights before it, activations
are done while a convolution's result is still in registers, weights lie as the processor's kernels
read them (policies/fast_layers.py), and a LayerNorm over whole maps does not turn their layout
about. Five convolutions with tanh on 128 x 128 pixels (CNNRNN): 1.3 ms instead of 5.8 (one core of
a Zen 4, torch 2.13). Of very wide linear layers alone the weights are rounded, to bfloat16: a tick
reads each of them once, and its time is the memory's.
"""

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from aloha_stack.policies.fast_layers import (
    LEAKY,
    NONE,
    RELU,
    TANH,
    Convolution,
    Deconvolution,
    Linear,
    computing_type,
    packs,
)

Step = Callable[[Tensor], Tensor]

WIDE = 1_000_000
"""Weights of a linear layer that no cache keeps from one tick to the next."""
Network = TypeVar("Network", bound=nn.Module)


def for_acting(network: Network) -> Network:
    """A copy whose stacks of convolutions are fast, if its device packs weights; else `network`.

    The copy is in eval mode, is for no gradients, and sees nothing of what is done to the
    original's weights afterwards.
    """
    weight = next(network.parameters())
    if not packs(weight.device) or weight.dtype != torch.float32:
        return network
    fast = copy.deepcopy(network).eval().requires_grad_(False)
    for name, part in list(fast.named_modules()):
        if isinstance(part, nn.Sequential) and any(isinstance(one, _CONVOLVES) for one in part):
            holder, _, attribute = name.rpartition(".")
            setattr(fast.get_submodule(holder), attribute, FastStack(part))
    return fast


class FastStack(nn.Module):
    """The layers of a Sequential in eval mode, for maps of one size at a time, without gradients.

    What it computes with is made when the first maps come, and anew for those of another size.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self._layers = _without_batch_norm(layers)
        self._steps: list[Step] = []
        self._size = torch.Size()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """What the layers make of x (N, …)."""
        if x.shape != self._size:
            return self._prepared(x)
        for step in self._steps:
            x = step(x)
        return x

    def _prepared(self, x: Tensor) -> Tensor:
        self._size, self._steps = x.shape, []
        skip = False
        for layer, after in pairwise([*self._layers, nn.Identity()]):
            if skip:
                skip = False
                continue
            step, skip = _step(layer, after, x)
            self._steps.append(step)
            x = step(x)
        return x


_CONVOLVES = (nn.Conv2d, nn.ConvTranspose2d)


def _without_batch_norm(layers: nn.Sequential) -> list[nn.Module]:
    """The same, with batch norms in the layer before."""
    found: list[nn.Module] = []
    for layer in layers:
        if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            found.append(layer)
        elif isinstance(before := found.pop(), nn.Linear):
            found.append(fuse_linear_bn_eval(before, layer))
        else:
            transposed = isinstance(before, nn.ConvTranspose2d)
            found.append(fuse_conv_bn_eval(before, layer, transposed))  # type: ignore[type-var]
    return found


def _step(layer: nn.Module, after: nn.Module, x: Tensor) -> tuple[Step, bool]:
    """How a layer's outputs are made of such inputs, and whether those are already what the layer
    after it would make of them."""
    if isinstance(layer, nn.LayerNorm) and x.dim() == 4:
        return _MapNorm(layer), False
    if isinstance(layer, nn.Linear) and layer.weight.numel() >= WIDE:
        return _WideLinear(layer), False
    if not isinstance(layer, _CONVOLVES):
        return layer, False
    activation, slope = _activation(after)
    size = (len(x), *x.shape[2:])
    if isinstance(layer, nn.ConvTranspose2d):
        made: Step = Deconvolution(layer, size, x.dtype, activation, slope)
    else:
        weight, bias = layer.weight.detach(), layer.bias
        padding = layer.padding[0]
        assert isinstance(padding, int)
        bias = None if bias is None else bias.detach()
        stride = layer.stride
        made = Convolution(weight, bias, stride, padding, size, x.dtype, activation, slope)
    return made, activation != NONE


def _activation(layer: nn.Module) -> tuple[str, float]:
    if isinstance(layer, nn.LeakyReLU):
        return LEAKY, layer.negative_slope
    return {nn.ReLU: RELU, nn.Tanh: TANH}.get(type(layer), NONE), 0.0


class _WideLinear:
    """A linear layer of few rows whose time goes into reading its weights: they are half as long
    where the processor multiplies bfloat16. What comes in and the product are rounded, too; the
    bias is added in float32."""

    def __init__(self, layer: nn.Linear) -> None:
        weight = layer.weight.detach()
        self._kind = computing_type(weight.device)
        self._product = Linear(weight, None, 1, self._kind)
        self._bias = None if layer.bias is None else layer.bias.detach()

    def __call__(self, x: Tensor) -> Tensor:
        y = self._product(x.to(self._kind)).float()
        return y if self._bias is None else y + self._bias


class _MapNorm:
    """A LayerNorm over whole maps (N, C, H, W), channels last: over all numbers of a sample, in
    whatever order they lie."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self._weight, self._bias = (
            value.detach().permute(1, 2, 0).flatten().contiguous()
            for value in (norm.weight, norm.bias)
        )
        self._epsilon = norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        flat = x.permute(0, 2, 3, 1).flatten(1)
        even = F.layer_norm(flat, self._weight.shape, self._weight, self._bias, self._epsilon)
        return even.view(len(x), *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
