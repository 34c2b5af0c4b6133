"""Many small networks that are alike, trained side by side.

Their parameters are stacked, (networks, …), and every step computes all of them at once: a matrix
product of a batch of small matrices costs little more than one of them, and Python's share of the
time is paid once. Each has its own loss, its own clipped gradient and its own batch; none knows of
the others, so that a network learns the same in any company.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

Flow = Callable[[Tensor], Tensor]
Loss = Callable[[Flow, Tensor], Tensor]
"""Of a network, as a function of states (B, dim), on its batch."""

FLAT = 0.01
"""Of the full step size, at the end of its cosine."""


@dataclass(frozen=True)
class Pace:
    """Adam's steps, each with a gradient of norm `clip` at most; sizes rise over `warmup` steps to
    `rate`, then fall like a cosine."""

    steps: int = 3000
    rate: float = 2e-3
    warmup: int = 50
    clip: float = 0.5

    def rate_at(self, step: int) -> float:
        """Of the step with this number, from 0."""
        fall = FLAT + (1 - FLAT) * (1 + math.cos(math.pi * step / self.steps)) / 2
        return self.rate * min(1.0, (step + 1) / self.warmup) * fall


class SideBySide:
    """One training of several networks; goes on from `state`."""

    def __init__(self, networks: Sequence[nn.Module], loss: Loss, pace: Pace) -> None:
        """The networks differ in weights only."""
        stacked, buffers = stack_module_state(list(networks))
        if buffers:
            raise ValueError("networks with buffers cannot be trained side by side")
        self.weights: dict[str, Tensor] = stacked
        self.done = 0
        self._pace, self._network = pace, networks[0]
        self._optimizer = torch.optim.Adam(list(stacked.values()), lr=pace.rate)
        self._losses = vmap(
            lambda weights, batch: loss(
                lambda x: functional_call(self._network, weights, (x,)), batch
            )
        )

    def step(self, batches: Tensor) -> Tensor:
        """One step of each network on its batch (networks, …); the losses (networks,) before it."""
        losses: Tensor = self._losses(self.weights, batches)
        losses.sum().backward()
        self._clip()
        for group in self._optimizer.param_groups:
            group["lr"] = self._pace.rate_at(self.done)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return losses.detach()

    def _clip(self) -> None:
        grads = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        squares = [(grad * grad).flatten(1).sum(1) for grad in grads]
        factor = (self._pace.clip / torch.stack(squares).sum(0).sqrt().clamp(min=1e-12)).clamp(
            max=1
        )
        for grad in grads:
            grad.mul_(factor.view(-1, *[1] * (grad.dim() - 1)))

    def weights_of(self, number: int) -> dict[str, Tensor]:
        """One network's."""
        return {name: weight[number].detach().clone() for name, weight in self.weights.items()}

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on, by name."""
        moments = self._optimizer.state_dict()["state"]
        kept = {f"weights/{name}": weight.detach() for name, weight in self.weights.items()}
        for number, name in enumerate(self.weights):
            for key, value in moments.get(number, {}).items():
                kept[f"{key}/{name}"] = torch.as_tensor(value)
        return {**kept, "done": torch.tensor(self.done)}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from there."""
        self.done = int(state["done"])
        moments: dict[int, dict[str, Tensor]] = {}
        for number, (name, weight) in enumerate(self.weights.items()):
            weight.data.copy_(state[f"weights/{name}"])
            ends = [key for key in state if key.endswith(f"/{name}") and not key.startswith("w")]
            moments[number] = {key[: -len(name) - 1]: state[key].clone() for key in ends}
        described = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**described, "state": moments if self.done else {}})
