"""Behaviour cloning beside SNDS: the nominal network by itself, nothing taken off.

It learns the same motions in the same spaces, goes to the same goals and stays inside the same
limits: what differs is the projection. Nothing is promised, and nobody certifies it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aloha_stack.policies.flow_policy import FlowPolicy
from aloha_stack.policies.policy import PolicySpec
from aloha_stack.policies.snds_config import Motion, SndsConfig
from aloha_stack.policies.snds_robot import kinematics
from aloha_stack.policies.stable_dynamics import SLOPE
from aloha_stack.policies.stable_steps import Limit
from aloha_stack.policies.state_spaces import StateSpace, state_space
from aloha_stack.policies.weights import load_weights


class PlainDynamics(nn.Module):
    """Velocities of states (B, dim), relative to the goal, in the network's units."""

    def __init__(self, dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((dim, *hidden[:-1]), hidden, strict=True):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        self.nominal = nn.Sequential(*layers, nn.Linear(hidden[-1], dim))

    def forward(self, x: Tensor) -> Tensor:
        """The velocity (B, dim)."""
        moved: Tensor = self.nominal(x)
        return moved

    @torch.no_grad()
    def step(self, x: Tensor, time: float, limit: Limit | None = None) -> Tensor:
        """Forward Euler, inside the limits."""
        reached = x + time * self(x)
        return reached if limit is None else limit(reached)


class CloningPolicy(FlowPolicy):
    """Chunks of a flow that is as it was learnt."""

    def __init__(
        self,
        spec: PolicySpec,
        dynamics: PlainDynamics,
        space: StateSpace,
        config: SndsConfig,
        motion: Motion,
    ) -> None:
        """As SndsPolicy."""
        super().__init__(spec, dynamics.double().eval(), space, config, motion)

    @staticmethod
    def restore(
        spec: PolicySpec,
        config: Mapping[str, Any],
        statistics: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        device: str = "cpu",
        backend: str = "eager",
    ) -> "CloningPolicy":
        """As SndsPolicy.restore."""
        sizes = SndsConfig.from_dict(config)
        motion = Motion.of(statistics, sizes.dim)
        dynamics = PlainDynamics(sizes.dim, sizes.hidden)
        load_weights(dynamics, weights)
        space = state_space(sizes, motion, kinematics(spec.robot, sizes))
        return CloningPolicy(spec, dynamics, space, sizes, motion)
