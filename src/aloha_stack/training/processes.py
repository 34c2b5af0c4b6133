"""The processes that train together, started by torchrun; without it there is one.

Each has its rows of every batch. Gradients are *summed* in one go after the backward pass: as a
loss is divided by what all processes count, the sum is the gradient of the whole batch.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from aloha_stack.training.errors import TrainingError


@dataclass(frozen=True)
class Processes:
    """Which one this is, of how many, and what it computes on."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Only the first writes and speaks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Of every process's `values`, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Of every process, in place: one message for all."""
        if self.count == 1:
            return
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([grad.flatten() for grad in grads])
        dist.all_reduce(flat)
        for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def share(self, batch: int) -> int:
        """This process's part of a batch. Raises TrainingError if it does not go round."""
        if batch % self.count:
            raise TrainingError(
                f"training.batch: {batch} samples cannot be shared by {self.count} processes; "
                f"take a multiple of {self.count}"
            )
        return batch // self.count


def join(device: str | None = None) -> Processes:
    """The processes that torchrun started, or this one alone. `device`: "cpu" or "cuda"; by
    default a GPU if there is one. Raises TrainingError for a device that is not there."""
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    gpus = torch.cuda.device_count()
    if device is None:
        device = "cuda" if gpus else "cpu"
    if device == "cuda" and local >= gpus:
        raise TrainingError(f"process {rank} has no GPU: there are {gpus}; take --device cpu")
    chosen = torch.device("cuda", local) if device == "cuda" else torch.device("cpu")
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if count > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return Processes(rank, count, chosen)


def leave() -> None:
    """The end of training together."""
    if dist.is_initialized():
        dist.destroy_process_group()
