"""Checkpoints of the original ACT code (tonyzhaozh/act): policy_best.ckpt + dataset_stats.pkl.

The .ckpt is a pickled state dictionary, read by torch's own loader that makes nothing but tensors;
dataset_stats.pkl is read by `numpy_pickle`. Neither file says which cameras the policy was trained
with, how many attention heads it has, or the size of its pictures: the caller does.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.key_maps import ORIGINAL, layers, renamed
from aloha_stack.policies.numpy_pickle import read_arrays
from aloha_stack.policies.policy import NAMES, PolicyError, PolicySpec

STATISTICS = "dataset_stats.pkl"
SIZE = (480, 640)
"""Height and width of the pictures that the code records and trains on."""
HEADS = 8


def read_original(
    file: Path,
    cameras: tuple[str, ...],
    robot: str,
    task: str,
    image_size: tuple[int, int] = SIZE,
    heads: int = HEADS,
    all_layers: bool = False,
    rate_hz: float = 50.0,
) -> Checkpoint:
    """The checkpoint in our terms; `file` is the .ckpt, the statistics lie beside it.

    `cameras` in the order of training (constants.py: camera_names). The published code uses the
    first decoder layer only; `all_layers` is for forks that mended it. Raises PolicyError.
    """
    theirs = read_state(file)
    weights = renamed(theirs, ORIGINAL)
    needed = (
        "queries",
        "action_head.weight",
        "latent_projection.weight",
        "state_projection.weight",
    )
    missing = [name for name in (*needed, "encoder.layers.0.linear1.weight") if name not in weights]
    if missing:
        raise PolicyError(f"{file}: no ACT policy of that code; it lacks {', '.join(missing)}")
    chunk, hidden = weights["queries"].shape
    config = ActConfig(
        cameras=len(cameras),
        state_dim=weights["state_projection.weight"].shape[1],
        action_dim=weights["action_head.weight"].shape[0],
        chunk=chunk,
        hidden=hidden,
        heads=heads,
        feedforward=weights["encoder.layers.0.linear1.weight"].shape[0],
        encoder_layers=layers(weights, "encoder"),
        decoder_layers=layers(weights, "decoder"),
        cvae_layers=layers(weights, "latent_encoder.encoder"),
        latent=weights["latent_projection.weight"].shape[1],
        first_layer_only=not all_layers,
        pre_norm="encoder.norm.weight" in weights,
    )
    spec = PolicySpec("act", robot, cameras, image_size, chunk, task, rate_hz)
    return Checkpoint(spec, config.as_dict(), _statistics(file.parent / STATISTICS), weights)


def read_state(file: Path, inside: str = "") -> dict[str, Tensor]:
    """A pickled state dictionary: names and tensors, nothing else; or a dictionary that holds it
    under `inside`, beside text and numbers. Raises PolicyError."""
    if not file.is_file():
        raise PolicyError(f"{file}: missing")
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0] if str(error) else "damaged"
        raise PolicyError(f"{file}: holds more than tensors, or is damaged: {reason}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PolicyError(f"{file}: truncated or damaged: {reason}") from error
    if isinstance(found, Mapping) and inside in found:
        found = found[inside]
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise PolicyError(f"{file}: expected a state dictionary of tensors")
    return dict(found)


def _statistics(file: Path) -> dict[str, dict[str, list[float] | list[str]]]:
    arrays = read_arrays(file)
    result = {}
    for ours, theirs in (("state", "qpos"), ("action", "action")):
        part: dict[str, list[float] | list[str]] = {"names": list(NAMES)}
        for key in ("mean", "std"):
            values = arrays.get(f"{theirs}_{key}")
            if values is None or values.shape != (len(NAMES),) or not np.isfinite(values).all():
                raise PolicyError(f"{file}: {theirs}_{key}: expected {len(NAMES)} numbers")
            part[key] = values.astype(float).tolist()
        result[ours] = part
    return result
