"""SNDS: a policy that flows to its goal from anywhere, and is certified to.

Its steps are those of StableDynamics: V falls at every tick, and the targets stay inside the
limits.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.flow_policy import FlowPolicy
from aloha_stack.policies.policy import PolicySpec
from aloha_stack.policies.snds_config import Motion, SndsConfig
from aloha_stack.policies.snds_robot import kinematics
from aloha_stack.policies.stable_dynamics import StableDynamics
from aloha_stack.policies.state_spaces import StateSpace, state_space
from aloha_stack.policies.weights import load_weights


class SndsPolicy(FlowPolicy):
    """Chunks of a flow that ends at the goal from anywhere."""

    NEEDS_CERTIFICATE = True

    def __init__(
        self,
        spec: PolicySpec,
        dynamics: StableDynamics,
        space: StateSpace,
        config: SndsConfig,
        motion: Motion,
    ) -> None:
        """Raises PolicyError for a spec of other numbers, or a goal outside the limits."""
        self.dynamics = dynamics.double().eval()
        super().__init__(spec, self.dynamics.for_acting(), space, config, motion)

    def lyapunov(self, state: np.ndarray) -> float:
        """V of a state (14,), with the present goal: falls along the way; 0 at the goal."""
        self._turn()
        x = torch.from_numpy(self.space.coordinates(np.asarray(state, dtype=float)))[None]
        with torch.inference_mode():
            return float(self.dynamics.lyapunov(x)[0])

    @staticmethod
    def restore(
        spec: PolicySpec,
        config: Mapping[str, Any],
        statistics: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        device: str = "cpu",
        backend: str = "eager",
    ) -> "SndsPolicy":
        """From the parts of a checkpoint. Raises PolicyError for parts that do not fit.

        It computes in float64 on the processor, whatever `device` and `backend` are: steps are
        small, and the certificate is of these numbers.
        """
        sizes = SndsConfig.from_dict(config)
        motion = Motion.of(statistics, sizes.dim)
        dynamics = dynamics_of(sizes)
        load_weights(dynamics, weights)
        space = state_space(sizes, motion, kinematics(spec.robot, sizes))
        return SndsPolicy(spec, dynamics, space, sizes, motion)


def dynamics_of(config: SndsConfig) -> StableDynamics:
    """A network of these sizes; its start values are of no use but to learning."""
    return StableDynamics(
        config.dim,
        config.hidden,
        config.lyapunov_hidden,
        config.alpha,
        config.epsilon,
        config.anchor,
        config.warps,
    )
