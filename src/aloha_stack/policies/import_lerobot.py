"""Checkpoints of LeRobot's ACT: config.json, model.safetensors and its processors' statistics.

Version 0.4 keeps the statistics beside the weights (policy_preprocessor.json names the file);
earlier ones keep them among the weights (normalize_inputs.*, unnormalize_outputs.*).
Source of names and formulas: LeRobot 0.4.4, policies/act and processor/normalize_processor.py.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aloha_stack.policies.act_config import RESNET18, ActConfig
from aloha_stack.policies.checkpoint import CONFIG, WEIGHTS, Checkpoint
from aloha_stack.policies.key_maps import LEROBOT, renamed
from aloha_stack.policies.policy import NAMES, PolicyError, PolicySpec

STATE, ACTION, CAMERA = "observation.state", "action", "observation.images."
PROCESSORS = (
    ("policy_preprocessor.json", "normalizer_processor"),
    ("policy_postprocessor.json", "unnormalizer_processor"),
)
EPSILON = 1e-8  # LeRobot divides by std + EPSILON

SIZES = {  # their name -> ours
    "chunk_size": "chunk",
    "dim_model": "hidden",
    "n_heads": "heads",
    "dim_feedforward": "feedforward",
    "feedforward_activation": "activation",
    "n_encoder_layers": "encoder_layers",
    "n_decoder_layers": "decoder_layers",
    "n_vae_encoder_layers": "cvae_layers",
    "use_vae": "cvae",
    "latent_dim": "latent",
    "pre_norm": "pre_norm",
    "dropout": "dropout",
}

Stats = dict[str, dict[str, np.ndarray]]
"""Feature -> mean, std, min, max."""


def read_lerobot(
    folder: Path,
    cameras: tuple[str, ...] | None,
    robot: str,
    task: str,
    rate_hz: float = 50.0,
) -> Checkpoint:
    """The checkpoint in our terms. `cameras`: our names for its cameras, in the order of its
    config.json (None: the names that it has). Raises PolicyError, which names file and key."""
    file = folder / CONFIG
    config = read_json(file)
    if config.get("type") != "act":
        raise PolicyError(f"{file}: type {config.get('type')!r}, expected 'act'")
    theirs, image_size = _features(file, config)
    if cameras is not None and len(cameras) != len(theirs):
        raise PolicyError(
            f"{file}: it has {len(theirs)} cameras, {', '.join(theirs)}; "
            f"{len(cameras)} names were given"
        )
    weights = _weights(folder / WEIGHTS)
    stats, network = _without_statistics(weights)
    found = _processor_statistics(folder)
    stats |= found
    modes = config.get("normalization_mapping")
    if not isinstance(modes, dict):
        raise PolicyError(f"{file}: normalization_mapping: missing")
    affine = {
        feature: _affine(file, feature, modes.get(kind, "IDENTITY"), stats.get(feature), size)
        for feature, kind, size in (
            (STATE, "STATE", len(NAMES)),
            (ACTION, "ACTION", len(NAMES)),
            *((CAMERA + name, "VISUAL", 3) for name in theirs),
        )
    }
    sizes = {ours: config[key] for key, ours in SIZES.items() if key in config}
    pictures = [affine[CAMERA + name] for name in theirs]
    own = ActConfig(
        cameras=len(theirs),
        image_mean=tuple(tuple(mean.tolist()) for mean, _ in pictures),
        image_std=tuple(tuple((std + EPSILON).tolist()) for _, std in pictures),
        **sizes,
    )
    spec = PolicySpec("act", robot, cameras or theirs, image_size, own.chunk, task, rate_hz)
    statistics = {}
    for name, feature, extra in (("state", STATE, EPSILON), ("action", ACTION, 0.0)):
        mean, std = affine[feature]
        statistics[name] = {
            "names": list(NAMES),
            "mean": mean.tolist(),
            "std": (std + extra).tolist(),
        }
    return Checkpoint(spec, own.as_dict(), statistics, renamed(network, LEROBOT))


def _features(
    file: Path, config: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[int, int] | None]:
    """Its cameras and the size of their pictures; refuses what our ACT does not know."""
    for key, supported in (
        ("vision_backbone", RESNET18),
        ("replace_final_stride_with_dilation", False),
        ("n_obs_steps", 1),
    ):
        if config.get(key, supported) != supported:
            raise PolicyError(f"{file}: {key} {config[key]!r}; only {supported!r} is supported")
    inputs, outputs = config.get("input_features"), config.get("output_features")
    if not isinstance(inputs, dict) or not isinstance(outputs, dict):
        raise PolicyError(f"{file}: input_features or output_features: missing")
    shapes = {}
    for name, feature in {**inputs, **outputs}.items():
        shape = feature.get("shape") if isinstance(feature, dict) else None
        if not isinstance(shape, list) or not all(isinstance(n, int) for n in shape):
            raise PolicyError(f"{file}: {name}: no shape")
        shapes[name] = tuple(shape)
    for name in (STATE, ACTION):
        if shapes.get(name) != (len(NAMES),):
            raise PolicyError(
                f"{file}: {name}: shape {shapes.get(name)}, expected ({len(NAMES)},): the two arms "
                "and grippers of an ALOHA"
            )
    cameras = tuple(name.removeprefix(CAMERA) for name in inputs if name.startswith(CAMERA))
    other = [name for name in inputs if not name.startswith(CAMERA) and name != STATE]
    if other or not cameras:
        what = f"it reads {', '.join(other)}" if other else f"it has no camera ({CAMERA}NAME)"
        raise PolicyError(f"{file}: input_features: {what}; only cameras and {STATE} are supported")
    sizes = {shapes[CAMERA + name] for name in cameras}
    if len(sizes) > 1 or len(first := sizes.pop()) != 3 or first[0] != 3:
        raise PolicyError(f"{file}: input_features: the cameras' pictures differ in shape")
    return cameras, (first[1], first[2])


def _affine(
    file: Path, feature: str, mode: Any, stats: Mapping[str, np.ndarray] | None, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std by which LeRobot's `mode` is (x - mean) / std; none without statistics."""
    if mode == "IDENTITY" or not stats:
        return np.zeros(size), np.ones(size)
    kinds = {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max")}
    if mode not in kinds:
        raise PolicyError(f"{file}: normalization_mapping: {mode!r} is not supported for {feature}")
    first, second = (np.asarray(stats.get(key, np.nan), float).reshape(-1) for key in kinds[mode])
    if first.shape != (size,) or second.shape != (size,):
        raise PolicyError(f"{file}: no {' and '.join(kinds[mode])} of {feature}, {size} numbers")
    if mode == "MIN_MAX":
        return (first + second) / 2, (second - first) / 2
    return first, second


def _processor_statistics(folder: Path) -> Stats:
    found: Stats = {}
    for name, kind in PROCESSORS:
        file = folder / name
        if not file.is_file():
            continue
        for step in read_json(file).get("steps", []):
            if step.get("registry_name") != kind or "state_file" not in step:
                continue
            state = Path(str(step["state_file"]))
            if state.name != str(state):
                raise PolicyError(f"{file}: state_file {state} lies outside the folder")
            for key, value in _weights(folder / state).items():
                feature, _, what = key.rpartition(".")
                found.setdefault(feature, {})[what] = value.double().numpy()
    return found


def _without_statistics(weights: Mapping[str, Tensor]) -> tuple[Stats, dict[str, Tensor]]:
    """Takes out what versions before 0.4 keep among the weights."""
    stats: Stats = {}
    network = {}
    marks = ("normalize_inputs.buffer_", "unnormalize_outputs.buffer_")
    for name, value in weights.items():
        mark = next((m for m in marks if name.startswith(m)), None)
        if mark is not None:
            flat, _, what = name[len(mark) :].rpartition(".")
            stats.setdefault(_feature(flat), {})[what] = value.double().numpy()
        elif not name.startswith("normalize_targets."):
            network[name] = value
    return stats, network


def _feature(flat: str) -> str:
    """observation_images_cam_high -> observation.images.cam_high."""
    camera = CAMERA.replace(".", "_")
    if flat.startswith(camera):
        return CAMERA + flat[len(camera) :]
    return STATE if flat == STATE.replace(".", "_") else flat


def read_json(file: Path) -> dict[str, Any]:
    """An object. Raises PolicyError, which names the file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PolicyError(f"{file}: missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PolicyError(f"{file}: damaged, no JSON: {error}") from error
    if not isinstance(found, dict):
        raise PolicyError(f"{file}: expected an object, found {type(found).__name__}")
    return found


def _weights(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise PolicyError(f"{file}: missing")
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise PolicyError(f"{file}: truncated, or no safetensors file: {error}") from error
