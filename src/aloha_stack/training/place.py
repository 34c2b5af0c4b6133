"""Where a training is: with the tensors, all that is needed to go on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from aloha_stack.training.averaging import Average
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.run_folder import Saved


@dataclass(frozen=True)
class Validation:
    """One row of the history."""

    step: int
    train: float  # mean loss since the validation before
    loss: float | None  # None: there is nothing to validate with


@dataclass
class Place:
    """Counted since the beginning, over all interruptions."""

    step: int = 0
    elapsed_s: float = 0.0
    best: float | None = None
    best_step: int = 0
    since_best: int = 0  # validations
    validations: list[Validation] = field(default_factory=list)
    loss_sum: float = 0.0  # since the last validation
    loss_count: int = 0

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Place":
        """The reverse of asdict. Raises TrainingError for what was not made by it."""
        try:
            rows = [Validation(**row) for row in data["validations"]]
            return Place(**{**data, "validations": rows})
        except (KeyError, TypeError) as error:
            raise TrainingError(f"what was saved is of another version: {error}") from error


@torch.no_grad()
def packed(
    place: Place, module: nn.Module, average: Average, optimizer: torch.optim.Optimizer
) -> Saved:
    """For RunFolder.save_last: "weights/NAME", "average/NAME", "adam/NAME/KEY"."""
    tensors = {f"weights/{name}": value for name, value in module.state_dict().items()}
    if average.decay:
        tensors |= {f"average/{name}": value for name, value in average.weights.items()}
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"adam/{name}/{key}"] = value
    return Saved(tensors, asdict(place))


@torch.no_grad()
def unpack(
    saved: Saved, module: nn.Module, average: Average, optimizer: torch.optim.Optimizer
) -> Place:
    """The reverse, into what is there. Raises TrainingError for weights of another network."""
    live = {f"weights/{name}": value for name, value in module.state_dict().items()}
    if average.decay:
        if not any(name.startswith("average/") for name in saved.tensors):
            raise TrainingError(
                "this training began without an average of weights and goes on without one: "
                "--set training.ema=0"
            )
        live |= {f"average/{name}": value for name, value in average.weights.items()}
    for name, parameter in module.named_parameters():
        if f"adam/{name}/step" not in saved.tensors:
            continue  # one that the loss does not reach
        state = optimizer.state[parameter]
        state["step"] = torch.zeros((), device=parameter.device)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
        live |= {f"adam/{name}/{key}": value for key, value in state.items()}
    for name, value in live.items():
        found = saved.tensors.get(name)
        if found is None or found.shape != value.shape:
            raise TrainingError(f"what was saved does not fit the network: {name}")
        value.copy_(found)
    return Place.from_dict(saved.state)
