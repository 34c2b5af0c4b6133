"""The processors that a network runs on."""

import torch

from aloha_stack.policies.policy import PolicyError


def use_threads(count: int) -> None:
    """How many threads a network takes that is asked by the calling one; 0: as torch decides."""
    if count > 0:
        torch.set_num_threads(count)


def check_device(device: str) -> None:
    """Raises PolicyError for a device that this machine, or this build of torch, does not have."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise PolicyError(f"there is no device '{device}' here: {error}") from error
