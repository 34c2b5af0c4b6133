"""Small recurrent networks for tests, one of each kind, and policies made of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aloha_stack.policies.checkpoint import Checkpoint, load, save
from aloha_stack.policies.min_max import min_max
from aloha_stack.policies.policy import NAMES, PolicySpec
from aloha_stack.policies.recurrent import RecurrentNetwork
from aloha_stack.policies.recurrent_config import RecurrentConfig
from aloha_stack.policies.recurrent_networks import config_of, network_of
from aloha_stack.policies.recurrent_policy import RecurrentPolicy

LSTM = {"image_size": (16, 24), "channels": (4, 6), "strides": (2, 1), "layers": 3, "hidden": 8}
SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "points": ("each_layer_lstm", LSTM | {"points": 3}),
    "mlp": ("each_layer_lstm", LSTM | {"encoder": "mlp", "mlp": 12, "feature": 5}),
    "conventional": ("each_layer_lstm", LSTM | {"points": 3, "feature_into": "first"}),
    "feature to output": ("each_layer_lstm", LSTM | {"points": 3, "feature_to_output": True}),
    "cnnrnn": ("cnnrnn", {"image_size": (32, 64)}),
    "cnnrnnln": ("cnnrnn", {"image_size": (32, 32), "layer_norm": True}),
    "cae_rnn": ("cae_rnn", {"image_size": (32, 32), "batch_norm": True}),
    "sarnn": ("sarnn", {"image_size": (16, 24)}),
}
"""Of each kind: the policy's name and what its config says."""

RIGHT = NAMES[7:]
JOINTS = {
    "names": list(RIGHT),
    "minimum": [-1.0 - 0.1 * n for n in range(7)],
    "maximum": [1.0 + 0.2 * n for n in range(7)],
}


def network(kind: str, seed: int = 0, **changes: Any) -> RecurrentNetwork:
    """With start values of this seed."""
    policy, sizes = SIZES[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = network_of(policy, config_of(policy, sizes | changes))
    assert isinstance(made, RecurrentNetwork)
    return made


def spec(kind: str, config: RecurrentConfig) -> PolicySpec:
    return PolicySpec(
        SIZES[kind][0], "twin", ("cam_high",), config.image_size, 6, "pick_place", stateful=True
    )


def policy(kind: str, input_param: float = 1.0, **changes: Any) -> RecurrentPolicy:
    """Not trained."""
    made = network(kind, **changes)
    config = made.config
    picture = config.image_size if config.crop is None else (40, 48)
    joints = min_max(JOINTS, RIGHT, config.value_range)
    seen = replace(spec(kind, config), image_size=picture)
    return RecurrentPolicy(seen, made, joints, input_param=input_param)


def checkpoint(made: RecurrentPolicy) -> Checkpoint:
    """Of a policy."""
    return Checkpoint(
        made.spec, made.network.config.as_dict(), {"joints": JOINTS}, made.network.state_dict()
    )


def reloaded(made: RecurrentPolicy, folder: Path, **options: str) -> RecurrentPolicy:
    """Through a folder."""
    save(folder, checkpoint(made), "# A test\n")
    again = load(folder, options=options)
    assert isinstance(again, RecurrentPolicy)
    return again
