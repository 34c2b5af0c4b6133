"""Small ACT networks for tests: some thousand parameters, pictures of a few pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aloha_stack.policies.act import Act
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.checkpoint import Checkpoint, load, save
from aloha_stack.policies.normalisation import Normaliser
from aloha_stack.policies.options import EAGER
from aloha_stack.policies.policy import NAMES, PolicySpec

CONFIG = ActConfig(
    cameras=2,
    chunk=5,
    hidden=16,
    heads=2,
    feedforward=32,
    encoder_layers=2,
    decoder_layers=3,
    cvae_layers=2,
    latent=4,
    dropout=0.1,
    backbone="light",
    stages=(8, 16),
    norm_groups=4,
)
SPEC = PolicySpec("act", "twin", ("cam_high", "cam_low"), (32, 48), 5, "transfer_cube")
STATISTICS = {
    "names": list(NAMES),
    "mean": np.linspace(-1, 1, 14).tolist(),
    "std": np.linspace(0.1, 1.3, 14).tolist(),
}


def network(config: ActConfig = CONFIG, seed: int = 0) -> Act:
    """With start values of this seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Act(config)


def policy(config: ActConfig = CONFIG, spec: PolicySpec = SPEC) -> ActPolicy:
    """Not trained."""
    normalisers = [Normaliser.of(STATISTICS, NAMES) for _ in range(2)]
    return ActPolicy(replace(spec, chunk=config.chunk), network(config), *normalisers)


def checkpoint(made: ActPolicy) -> Checkpoint:
    """Of a policy."""
    return Checkpoint(
        made.spec,
        made.network.config.as_dict(),
        {"state": STATISTICS, "action": STATISTICS},
        made.network.state_dict(),
    )


def saved(folder: Path, made: ActPolicy | None = None) -> Path:
    """A checkpoint folder."""
    save(folder, checkpoint(made or policy()), "# A test\n")
    return folder


def reloaded(made: ActPolicy, folder: Path, backend: str = EAGER) -> ActPolicy:
    """Through a folder."""
    again = load(saved(folder, made), backend=backend)
    assert isinstance(again, ActPolicy)
    return again
