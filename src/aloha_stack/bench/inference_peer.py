"""The same network as lerobot's ACT, in a process of a Python that has it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from aloha_stack.bench import inference_lerobot
from aloha_stack.bench.foreign import ForeignProgram
from aloha_stack.policies.act_config import RESNET18, ActConfig
from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.import_lerobot import SIZES
from aloha_stack.policies.key_maps import LEROBOT, PREFIX
from aloha_stack.policies.policy import Observation, PolicyError


class LeRobotAct(ForeignProgram):
    """`actions` are its chunks (n, T, A) for all observations, in units."""

    def __init__(
        self,
        python: Path,
        folder: Path,
        policy: ActPolicy,
        observations: Sequence[Observation],
        threads: int,
    ) -> None:
        """`folder` takes what it reads. Raises ForeignError; PolicyError for a network that
        lerobot's ACT cannot be."""
        config = policy.network.config
        settings = lerobot_config(config)
        (folder / "config.json").write_text(json.dumps(settings))
        weights = lerobot_weights(policy.network.state_dict(), config)
        save_file(weights, folder / "model.safetensors")
        save_file(_tensors(policy, observations), folder / "observations.safetensors")
        super().__init__(python, inference_lerobot.__file__, folder, threads)
        actions = load_file(folder / "actions.safetensors")["actions"]
        self.actions: np.ndarray = policy.action.inverse(actions).numpy()

    def seconds(self, number: int) -> float:
        """That its chunk for an observation took."""
        return float(self.ask(str(number)))


def lerobot_config(config: ActConfig) -> dict[str, object]:
    """Arguments of lerobot's ACTConfig. Raises PolicyError for what it does not know."""
    other = [
        name
        for name, is_other in (
            ("backbone", config.backbone != RESNET18),
            ("camera_embedding", config.camera_embedding),
            ("crop", config.crop is not None),
        )
        if is_other
    ]
    if other:
        raise PolicyError(f"lerobot's ACT has no such {', '.join(other)}")
    settings = {theirs: getattr(config, ours) for theirs, ours in SIZES.items()}
    if config.first_layer_only:
        settings["n_decoder_layers"] = 1
    return settings | {"action_dim": config.action_dim}


def lerobot_weights(weights: Mapping[str, Tensor], config: ActConfig) -> dict[str, Tensor]:
    """Under lerobot's names: policies/key_maps.py in reverse."""
    reverse = {ours: theirs for theirs, ours in LEROBOT.items() if ours is not None}
    used = 1 if config.first_layer_only else config.decoder_layers
    unused = tuple(f"decoder.layers.{number}." for number in range(used, config.decoder_layers))
    result = {}
    for name, value in weights.items():
        if name.startswith(unused):
            continue
        start = max((ours for ours in reverse if name.startswith(ours)), key=len)
        if name == "image_projection.weight":
            value = value[:, :, None, None]
        result[PREFIX + reverse[start] + name[len(start) :]] = value.contiguous()
    return result


def _tensors(policy: ActPolicy, observations: Sequence[Observation]) -> dict[str, Tensor]:
    config, cameras = policy.network.config, policy.spec.cameras
    pictures = [np.stack([seen.images[camera] for camera in cameras]) for seen in observations]
    states = torch.from_numpy(np.stack([seen.state for seen in observations]))
    colours = {"mean": config.image_mean, "std": config.image_std}
    return {
        "pictures": torch.from_numpy(np.stack(pictures)),
        "state": policy.state(states.float()),
        **{
            name: torch.tensor(rows).expand(config.cameras, 3).contiguous()
            for name, rows in colours.items()
        },
    }
