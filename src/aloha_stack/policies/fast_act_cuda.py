"""A computation on a CUDA device, recorded once and started as a whole."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Passes before the recording, in which the libraries choose their kernels (torch's advice)."""


class Replayed:
    """`compute` reads and writes the same memory at every call: some hundred kernels of a few
    microseconds each, which the processor could not start as fast as they end."""

    def __init__(self, compute: Callable[[], Tensor], device: torch.device) -> None:
        with torch.cuda.device(device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP):
                    compute()
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._result = compute()

    def __call__(self) -> Tensor:
        """What `compute` returns; the next call writes over it."""
        self._graph.replay()
        return self._result
