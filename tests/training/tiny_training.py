"""Trainings that take a second or two: a tiny network, small pictures, few steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from aloha_stack.training import training
from aloha_stack.training.training import Request

TINY = {
    "data.image_size": "[24, 32]",
    "data.validation": 0.34,
    "data.cache": "false",
    "network.stages": "[8, 16]",
    "network.hidden": 16,
    "network.heads": 2,
    "network.feedforward": 16,
    "network.encoder_layers": 1,
    "network.cvae_layers": 1,
    "network.latent": 4,
    "network.chunk": 8,
    "training.batch": 4,
    "training.steps": 6,
    "training.validate_every": 3,
    "training.validation_samples": 4,
    "training.warmup": 2,
    "augmentation.shift_px": 2,
}


@contextmanager
def one_thread() -> Iterator[None]:
    """Tiny networks are quicker so, most of all where others compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(request: Request, stop: Callable[[], bool] = lambda: False) -> None:
    """As `./aloha train`."""
    with one_thread():
        training.train(request, stop)


def tiny(data: Path, out: Path, **request: Any) -> Request:
    """A request for one of these; `changes` (a mapping) are further values of the recipe."""
    changes = {**TINY, **request.pop("changes", {})}
    sets = tuple(f"{key}={value}" for key, value in changes.items())
    return Request("act", (data,), out, changes=sets, workers=0, **request)


def resumed(out: Path, **request: Any) -> Request:
    """A request to go on with what is in `out`."""
    changes = tuple(f"{key}={value}" for key, value in request.pop("changes", {}).items())
    return Request("act", (), out, changes=changes, workers=0, resume=True, **request)


def stopping_after(steps: int) -> Any:
    """What asks a training to stop after so many steps."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= steps

    return stop


def tensors(file: Path) -> dict[str, Tensor]:
    """All of a safetensors file."""
    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def last(out: Path) -> dict[str, Tensor]:
    """What a training would go on from."""
    return tensors(out / "run/last.safetensors")
