"""A checkpoint of the paper's network that was not trained: only its size matters."""

from dataclasses import replace
from pathlib import Path

from aloha_stack.bench.inference_subjects import NATIVE, untrained
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.checkpoint import Checkpoint, save
from aloha_stack.policies.normalisation import Normaliser
from aloha_stack.policies.policy import NAMES
from aloha_stack.robot.joints import CAMERAS

SPREAD_RAD = 0.02
"""Of its targets: rows that know nothing of each other shall be no leaps."""


def save_untrained(folder: Path, config: ActConfig | None = None) -> Path:
    """84 million start weights, always the same, for four cameras of 640x480; or of `config`."""
    policy = untrained(config or ActConfig(), CAMERAS, NATIVE)
    spread = {
        "state": policy.state,
        "action": Normaliser([0.0] * len(NAMES), [SPREAD_RAD] * len(NAMES)),
    }
    statistics = {name: {**one.as_dict(), "names": list(NAMES)} for name, one in spread.items()}
    spec = replace(policy.spec, task="bench")
    weights = policy.network.state_dict()
    save(
        folder, Checkpoint(spec, policy.network.config.as_dict(), statistics, weights), "# Bench\n"
    )
    return folder
