"""Weights into a network, each by name; what does not fit is told before anything is changed."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from aloha_stack.policies.policy import PolicyError

_SHOWN = 4


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raises PolicyError for names that are missing or unknown, other shapes, and no numbers."""
    own = network.state_dict()
    problems = {
        "missing": [name for name in own if name not in weights],
        "unknown": [name for name in weights if name not in own],
        "of another shape": [
            f"{name} {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
            for name in own
            if name in weights and weights[name].shape != own[name].shape
        ],
        "not finite": [
            name
            for name, value in weights.items()
            if value.is_floating_point() and not torch.isfinite(value).all()
        ],
        "no floating-point numbers": [
            name
            for name, value in weights.items()
            if name in own and value.is_floating_point() != own[name].is_floating_point()
        ],
    }
    told = [f"{what}: {_some(names)}" for what, names in problems.items() if names]
    if told:
        raise PolicyError(f"weights {'; '.join(told)}")
    network.load_state_dict(dict(weights))


def count(network: nn.Module) -> dict[str, int]:
    """Trainable parameters of each part of a network, by the part's name."""
    parts: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        part = name.split(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel()
    return parts


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - _SHOWN
    return ", ".join(listed[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
