"""Convolutions of recurrent networks in bfloat16, all else in float32.

Convolutions take most of the time and bear rounding; in bfloat16, with the colours of a pixel side
by side, they are several times as fast on processors that know it. Memories over hundreds of steps
do not bear it, nor do the maps of a sharp softmax, where rounding decides what is highest.
"""

from typing import Any

import torch
from torch import Tensor, nn

ROUNDED = (nn.Conv2d, nn.ConvTranspose2d)
EXACT = ("point_encoder.", "encoder.maps")
"""Parts that make the maps of a spatial softmax, by the beginning of their names."""


def round_parts(network: nn.Module) -> frozenset[str]:
    """Names of the weights that may be bfloat16. From now on each layer takes its inputs in the
    type of its own weights, so that the network computes with either."""
    names: set[str] = set()
    for name, module in network.named_modules():
        own = [f"{name}.{one}" for one, _ in module.named_parameters(recurse=False)]
        if not own:
            continue
        module.register_forward_pre_hook(_as_weights)
        if isinstance(module, ROUNDED) and not name.startswith(EXACT):
            names.update(own)
    return frozenset(names)


def _as_weights(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    kind = next(module.parameters(recurse=False)).dtype
    return tuple(
        x.to(kind) if isinstance(x, Tensor) and torch.is_floating_point(x) else x for x in inputs
    )
