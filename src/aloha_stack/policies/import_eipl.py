"""Weights of ogata-lab/eipl 1.1.1 (CNNRNN, CNNRNNLN, SARNN, and LSTM with an auto-encoder).

A .pth holds the weights alone (read by torch's own loader that makes nothing but tensors and
numbers). Beside it lie args.json, with what its training was told, and joint_bounds.npy: the least
and the greatest of each joint, (2, J). An LSTM's also needs the auto-encoder's .pth and
feat_bounds.npy (2,), the least and the greatest number of all features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.import_lerobot import read_json
from aloha_stack.policies.import_original import read_state
from aloha_stack.policies.policy import NAMES, PolicyError, PolicySpec
from aloha_stack.policies.recurrent_policy import chunk_rows
from aloha_stack.robot.joints import JOINTS

ARGUMENTS, JOINT_BOUNDS, FEATURE_BOUNDS = "args.json", "joint_bounds.npy", "feat_bounds.npy"
COMPILED = "_orig_mod."
"""What torch.compile puts before all names."""

KEYS: dict[str, str | None] = {
    "encoder_image.": "encoder.",
    "decoder_joint.": "joint_decoder.",
    "decoder_image.": "image_decoder.",
    "rec.": "layer.",
    "pos_encoder.": "point_encoder.",
    "im_encoder.": "image_encoder.",
    "decoder_point.": "point_decoder.",
    "rnn.": "layer.",
    "rnn_out.": "output.",
    "encoder.": "encoder.",  # of auto-encoders
    "decoder.": "decoder.",
    "pos_encoder.6.": None,  # grids of coordinates, which are made here
    "issm.": None,
}
"""The beginnings of their names, and ours. What follows is alike."""

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class EiplOptions:
    """What the files do not say."""

    camera: str
    robot: str
    task: str
    rate_hz: float
    arm: str = "right"  # whose joints those of a network with 7 are
    autoencoder: Path | None = None  # for an LSTM
    bgr: bool = False  # whether it was trained on pictures in OpenCV's order of colours


def read_eipl(file: Path, options: EiplOptions) -> Checkpoint:
    """The checkpoint in our terms. Raises PolicyError, which names the file and what it lacks."""
    theirs = _read(file)
    told = _arguments(file.parent / ARGUMENTS)
    low, high = told.get("vmin", 0.0), told.get("vmax", 1.0)
    common = {"value_range": (low, high), "bgr": options.bgr}
    if "encoder_image.0.weight" in theirs:
        policy, sizes, weights = "cnnrnn", _cnnrnn(theirs), renamed(theirs, file)
    elif "pos_encoder.0.weight" in theirs:
        policy, sizes, weights = "sarnn", _sarnn(theirs, told, file), renamed(theirs, file)
    elif "rnn.weight_ih" in theirs:
        policy, (sizes, weights) = "cae_rnn", _cae_rnn(theirs, file, options.autoencoder)
    elif "encoder.0.weight" in theirs:
        raise PolicyError(
            f"{file}: an auto-encoder alone is no policy; give it as --autoencoder, with the LSTM "
            "that was trained on its features"
        )
    else:
        raise PolicyError(
            f"{file}: none of CNNRNN, CNNRNNLN, SARNN and LSTM; it holds {', '.join(theirs)[:80]} …"
        )
    arms, names = _whose(sizes["joints"], options.arm)
    spec = PolicySpec(
        policy,
        options.robot,
        (options.camera,),
        sizes["image_size"],
        chunk_rows(options.rate_hz),
        options.task,
        options.rate_hz,
        names,
        names,
        stateful=True,
    )
    bounds = _bounds(file.parent / JOINT_BOUNDS, (2, sizes["joints"]))
    moved = [name for name in names if not arms or name.partition("_")[0] in arms]
    joints = {"names": moved, "minimum": bounds[0].tolist(), "maximum": bounds[1].tolist()}
    return Checkpoint(spec, {**sizes, **common, "arms": arms}, {"joints": joints}, weights)


def renamed(weights: Mapping[str, Tensor], file: Path) -> Weights:
    """The weights under our names. Raises PolicyError, which lists names that are not known."""
    found: Weights = {}
    unknown = []
    for name, value in weights.items():
        start = max((key for key in KEYS if name.startswith(key)), key=len, default=None)
        if start is None:
            unknown.append(name)
        elif (ours := KEYS[start]) is not None:
            found[ours + name[len(start) :]] = value
    if unknown:
        raise PolicyError(f"{file}: weights that are not known: {', '.join(unknown[:4])}")
    return found


def _cnnrnn(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    inputs, width = theirs["rec.weight_ih"].shape[1], theirs["rec.weight_hh"].shape[1]
    joints = len(theirs["decoder_joint.0.bias"])
    return {
        "joints": joints,
        "features": inputs - joints,
        "hidden": width,
        "layer_norm": "encoder_image.1.weight" in theirs,
        "image_size": (128, 128),
    }


def _sarnn(theirs: Mapping[str, Tensor], told: Mapping[str, Any], file: Path) -> dict[str, Any]:
    grid = theirs.get("issm.pos_xy")
    if grid is None:
        raise PolicyError(f"{file}: it lacks issm.pos_xy, which says the size of its pictures")
    return {
        "joints": len(theirs["decoder_joint.0.bias"]),
        "points": len(theirs["decoder_point.0.bias"]) // 2,
        "hidden": theirs["rec.weight_hh"].shape[1],
        "image_size": (grid.shape[1] + 6, grid.shape[2] + 6),
        "temperature": told.get("temperature", 1e-4),
        "spot_size": told.get("heatmap_size", 0.1),
    }


def _cae_rnn(
    theirs: Mapping[str, Tensor], file: Path, autoencoder: Path | None
) -> tuple[dict[str, Any], Weights]:
    if autoencoder is None:
        raise PolicyError(f"{file}: an LSTM on features: give the --autoencoder that made them")
    pictures = _read(autoencoder)
    if "encoder.0.weight" not in pictures:
        raise PolicyError(f"{autoencoder}: no auto-encoder")
    linear = [
        name for name in pictures if name.startswith("encoder.") and pictures[name].dim() == 2
    ]
    features = len(pictures[linear[-1]])
    sizes = {
        "joints": len(theirs["rnn_out.0.bias"]) - features,
        "features": features,
        "hidden": theirs["rnn.weight_hh"].shape[1],
        "size": "large" if pictures["encoder.0.weight"].shape[2] == 6 else "basic",
        "batch_norm": "encoder.1.running_mean" in pictures,
        "image_size": (128, 128),
    }
    weights = renamed(theirs, file)
    weights |= {f"autoencoder.{name}": value for name, value in renamed(pictures, file).items()}
    bounds = _bounds(file.parent / FEATURE_BOUNDS, (2,))
    return sizes, weights | {"feature_bounds": torch.from_numpy(bounds.astype(np.float32))}


def _whose(joints: int, arm: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arms that the joints are of, and the names of state and action; those of another robot
    have numbers for names, and are for looking at alone."""
    if joints == len(JOINTS):
        return (arm,), NAMES
    if joints == len(NAMES):
        return (), NAMES
    return (), tuple(f"joint_{number}" for number in range(1, joints + 1))


def _read(file: Path) -> Weights:
    """The weights of a .pth, whether alone or under "model_state_dict"."""
    found = read_state(file, "model_state_dict")
    return {name.removeprefix(COMPILED): value for name, value in found.items()}


def _arguments(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _bounds(file: Path, shape: Sequence[int]) -> np.ndarray:
    """An array of this shape from a .npy file, of which nothing is unpickled."""
    if not file.is_file():
        raise PolicyError(
            f"{file}: missing: the least and the greatest of what was learnt from, {tuple(shape)}"
        )
    try:
        found: np.ndarray = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise PolicyError(f"{file}: damaged, or no array: {error}") from error
    if found.shape != tuple(shape) or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise PolicyError(f"{file}: expected {tuple(shape)} numbers, found {found.shape}")
    if not (found[1] >= found[0]).all():
        raise PolicyError(f"{file}: expected the least first, then the greatest")
    return found.astype(np.float64)
