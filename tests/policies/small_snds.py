"""Small SNDS policies for tests: start weights, a goal in the middle of the limits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aloha_stack.policies.checkpoint import Checkpoint, save
from aloha_stack.policies.policy import NAMES, Observation, PolicySpec
from aloha_stack.policies.snds import SndsPolicy, dynamics_of
from aloha_stack.policies.snds_config import POSE_SPACE, Motion, SndsConfig
from aloha_stack.policies.snds_robot import kinematics, limits
from aloha_stack.policies.state_spaces import state_space

CONFIG = SndsConfig(hidden=(16, 16), lyapunov_hidden=(8,))
POSES = replace(CONFIG, space=POSE_SPACE, arms=("right",), tolerance_rad=0.3)
SPEC = PolicySpec("snds", "twin", (), None, 6, "reach")
TICK_NS = 20_000_000
GOAL = np.array([0.2, -0.6, 0.6, 0.1, 0.5, -0.2, 0.5] * 2)
START = np.array([-0.2, -0.9, 1.1, -0.2, 0.2, 0.3, 0.8] * 2)


def motion(config: SndsConfig = CONFIG) -> Motion:
    """Half a radian or metre in a unit, two seconds."""
    lower, upper = limits("twin")
    dim = config.dim
    return Motion(GOAL, lower, upper, np.full(dim, 0.5), 2.0, -np.ones(dim), np.ones(dim))


def policy(config: SndsConfig = CONFIG, seed: int = 0) -> SndsPolicy:
    """Not trained, which takes nothing from what it promises."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dynamics = dynamics_of(config)
    known = motion(config)
    space = state_space(config, known, kinematics("twin", config))
    return SndsPolicy(SPEC, dynamics, space, config, known)


def checkpoint(made: SndsPolicy) -> Checkpoint:
    """Of a policy."""
    statistics = {"motion": made.motion.as_dict()}
    return Checkpoint(
        made.spec, made.config.as_dict(), statistics, made.dynamics.float().state_dict()
    )


def saved(folder: Path, made: SndsPolicy | None = None) -> Path:
    """A checkpoint folder without a certificate."""
    save(folder, checkpoint(made or policy()), "# A test\n")
    return folder


def at(state: np.ndarray, tick: int = 0) -> Observation:
    """What is seen of joints at `state` (14,)."""
    assert state.shape == (len(NAMES),)
    return Observation(state.astype(np.float32), {}, tick * TICK_NS)
