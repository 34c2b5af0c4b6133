"""The processors that a network runs on."""

import os

import torch

from aloha_stack.policies.policy import PolicyError


def use_threads(count: int) -> None:
    """How many threads a network takes that is asked by the calling one; 0: one fewer than there
    are processors.

    At the end of each layer all threads wait for the last: where the arms' loops take a processor
    away, a network that counts on all of them waits much longer than it computes.
    """
    torch.set_num_threads(count or max(1, len(os.sched_getaffinity(0)) - 1))


def check_device(device: str) -> None:
    """Raises PolicyError for a device that this machine, or this build of torch, does not have."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise PolicyError(f"there is no device '{device}' here: {error}") from error
