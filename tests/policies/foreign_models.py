"""Checkpoints as the original ACT code and LeRobot write them, with seeded weights.

upstream_act.json and upstream_lerobot.json hold what those codes themselves gave for these weights
and inputs; their key "how" says how that was made.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from aloha_stack.policies.policy import Observation
from policies.seeded_weights import pictures, seeded, seeded_all

HERE = Path(__file__).parent
CAMERAS = ("cam_high", "cam_low")
HEIGHT, WIDTH = 64, 96
STATE = seeded("state", (14,))
ACTION = seeded("action", (6, 14))
IS_PAD = np.array([False] * 4 + [True] * 2)


def reference(name: str) -> dict[str, Any]:
    """ "act" or "lerobot"."""
    found: dict[str, Any] = json.loads((HERE / f"upstream_{name}.json").read_text())
    return found


def observation() -> Observation:
    """What both were shown."""
    return Observation(STATE, dict(zip(CAMERAS, pictures(2, HEIGHT, WIDTH), strict=True)))


def write_original(folder: Path, kind: str, protocol: int = 4) -> Path:
    """policy_best.ckpt and dataset_stats.pkl; returns the former."""
    said = reference("act")
    weights = seeded_all(said[kind]["shapes"])
    file = folder / "policy_best.ckpt"
    torch.save({name: torch.from_numpy(np.asarray(value)) for name, value in weights.items()}, file)
    stats = {name: np.array(values, np.float32) for name, values in said["statistics"].items()}
    stats["example_qpos"] = np.zeros((20, 14))
    with (folder / "dataset_stats.pkl").open("wb") as stream:
        pickle.dump(stats, stream, protocol)
    return file


def write_lerobot(folder: Path, kind: str, old: bool = False) -> Path:
    """The folder of version 0.4, or (`old`) of those before, with statistics among the weights."""
    said = reference("lerobot")[kind]
    weights = {
        name: torch.from_numpy(np.asarray(value))
        for name, value in seeded_all(said["shapes"]).items()
    }
    stats = {
        f"{feature}.{what}": torch.tensor(values)
        for feature, part in said["statistics"].items()
        for what, values in part.items()
    }
    for name, content in said["files"].items():
        if name == "config.json" or not old:
            (folder / name).write_text(json.dumps(content))
        for step in content.get("steps", []):
            if "state_file" in step and not old:
                save_file(stats, folder / step["state_file"])
    if old:
        for name, value in stats.items():
            feature, what = name.rsplit(".", 1)
            layer = "unnormalize_outputs" if feature == "action" else "normalize_inputs"
            weights[f"{layer}.buffer_{feature.replace('.', '_')}.{what}"] = value
    save_file(weights, folder / "model.safetensors")
    return folder
