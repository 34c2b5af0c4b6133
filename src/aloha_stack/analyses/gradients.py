"""How much each input of a recurrent network moves each joint that it tells.

    A_ij = mean |∂y_i / ∂x_j| · σ(x_j) / σ(y_i)

over all steps; y are the joints told, x what goes into a step: the joints, the image feature, and
the memory (hidden and cell of every layer). A_ij is how many of its own spreads y_i moves when x_j
moves by one of its own. Source: the attribution matrix of arXiv 2401.09691, whose formula is not
published; this one is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.recurrent import Encoded, Memory, RecurrentNetwork

JOINTS, FEATURE, HIDDEN, CELL = GROUPS = ("joints", "image feature", "hidden", "cell")
STILL = 1e-9
"""A joint that is told to vary by less than this has a row of zeros: nothing moves it."""


@dataclass(frozen=True)
class Inputs:
    """Of N steps, in the network's units."""

    joints: Tensor  # (N, J)
    feature: Tensor  # (N, F)
    memory: Memory  # (N, D) each


@dataclass(frozen=True)
class Attribution:
    """A matrix with a row a joint and a column an input."""

    matrix: np.ndarray  # (J, columns)
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    groups: tuple[str, ...]  # of each column, one of GROUPS

    def of_group(self, group: str) -> np.ndarray:
        """(J,): the sum over the group's columns."""
        chosen = np.array([one == group for one in self.groups])
        total: np.ndarray = self.matrix[:, chosen].sum(axis=1)
        return total

    @property
    def feature_to_joints(self) -> float:
        """What the image feature moves by what the joints move, all rows together."""
        joints = float(self.of_group(JOINTS).sum())
        return float(self.of_group(FEATURE).sum()) / joints if joints else 0.0


def attribution(
    network: RecurrentNetwork, inputs: Inputs, joint_names: Sequence[str]
) -> Attribution:
    """Of a network in evaluation mode."""
    groups, columns = _columns(network, inputs.memory, joint_names)
    slopes, told = mean_slopes(network, inputs)
    spread_in = torch.cat(_parts(inputs), dim=1).double().std(dim=0, correction=0).numpy()
    spread_out = told.double().std(dim=0, correction=0).numpy()
    moved = spread_out > STILL
    matrix = slopes * spread_in / np.where(moved, spread_out, 1.0)[:, None] * moved[:, None]
    return Attribution(matrix, tuple(joint_names), columns, groups)


def mean_slopes(network: RecurrentNetwork, inputs: Inputs) -> tuple[np.ndarray, Tensor]:
    """mean |∂y_i / ∂x_j| (J, columns) over N steps, and the joints told (N, J).

    Steps are rows that do not touch each other, so the gradient of a sum over them is each one's.
    """
    parts = [part.detach().requires_grad_() for part in _parts(inputs)]
    told = one_step(network, _inputs(parts))
    rows = []
    for joint in range(told.shape[1]):
        found = torch.autograd.grad(
            told[:, joint].sum(), parts, retain_graph=True, materialize_grads=True
        )
        rows.append(torch.cat(found, dim=1).abs().double().mean(dim=0))
    return torch.stack(rows).numpy(), told.detach()


def one_step(network: RecurrentNetwork, inputs: Inputs) -> Tensor:
    """The joints told (N, J), pictures already encoded."""
    hidden, _ = network.recur(inputs.feature[:, None], inputs.joints[:, None], inputs.memory)
    predicted = network.decode(hidden[:, 0], Encoded(inputs.feature), with_image=False)
    return predicted.joints


def _parts(inputs: Inputs) -> list[Tensor]:
    """Joints, feature, hidden and cell of the last layer, then of each layer below."""
    memory = inputs.memory
    return [inputs.joints, inputs.feature, memory.hidden, memory.cell, *memory.lower]


def _inputs(parts: Sequence[Tensor]) -> Inputs:
    joints, feature, hidden, cell, *lower = parts
    return Inputs(joints, feature, Memory(hidden, cell, tuple(lower)))


def _columns(
    network: RecurrentNetwork, memory: Memory, joint_names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The group and the name of each column, in the order of `_parts`."""
    groups = [JOINTS] * len(joint_names) + [FEATURE] * len(network.feature_names)
    names = [*joint_names, *network.feature_names]
    layers = len(memory.lower) // 2 + 1
    order = [layers, *range(1, layers)]
    states = [memory.hidden, memory.cell, *memory.lower]
    for number, state in enumerate(states):
        group = (HIDDEN, CELL)[number % 2]
        groups += [group] * state.shape[1]
        names += [f"{group}_{order[number // 2]}_{n}" for n in range(state.shape[1])]
    return tuple(groups), tuple(names)
