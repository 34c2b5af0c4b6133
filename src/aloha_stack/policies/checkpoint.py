"""A trained policy as a folder: model.safetensors, config.json, CARD.md. Nothing is unpickled.

config.json: {"format": 1, "policy": "act", "spec": {...}, "config": {...}, "statistics":
{"state": {"mean", "std", "names", ...}, "action": {...}}, "sha256": of model.safetensors}.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from aloha_stack.policies import certificate
from aloha_stack.policies.options import EAGER, adjust, check_backend
from aloha_stack.policies.policy import Policy, PolicyError, PolicySpec
from aloha_stack.policies.registry import policy_class

FORMAT = 1
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "CARD.md"
PICKLED = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
_BLOCK = 1 << 20


class CheckpointError(PolicyError):
    """A checkpoint cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a policy is made of."""

    spec: PolicySpec
    config: Mapping[str, Any]  # of the network, for JSON
    statistics: Mapping[str, Mapping[str, Any]]  # "state", "action": mean, std, names, ...
    weights: Mapping[str, Tensor]


def save(folder: str | Path, checkpoint: Checkpoint, card: str) -> None:
    """Writes the folder. Each file appears whole; config.json, which vouches for the weights, last.

    `card` is markdown for people: data, command, time, machine, success with counts.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().cpu().contiguous() for name, value in checkpoint.weights.items()
    }
    written = path / f".{WEIGHTS}.new"
    save_file(weights, written)
    described = {
        "format": FORMAT,
        "policy": checkpoint.spec.policy,
        "spec": checkpoint.spec.as_dict(),
        "config": dict(checkpoint.config),
        "statistics": {name: dict(part) for name, part in checkpoint.statistics.items()},
        "sha256": file_hash(written),
    }
    text = json.dumps(described, indent=1, allow_nan=False)
    _replace(written, path / WEIGHTS)
    for name, content in ((CARD, card), (CONFIG, text + "\n")):
        new = path / f".{name}.new"
        new.write_text(content, encoding="utf-8")
        _replace(new, path / name)


def load(
    folder: str | Path,
    device: str = "cpu",
    backend: str = EAGER,
    options: Mapping[str, str] | None = None,
) -> Policy:
    """The policy of a checkpoint folder, with `backend` and `options` (policies/options.py). Raises
    PolicyError, for what the folder holds a CheckpointError; nothing in it is executed."""
    check_backend(backend)
    checkpoint = read(folder)
    try:
        kind = policy_class(checkpoint.spec.policy)
        if getattr(kind, "NEEDS_CERTIFICATE", False):
            certificate.check(folder)
        beside = {"folder": folder} if getattr(kind, "NEEDS_FOLDER", False) else {}
        policy = kind.restore(
            checkpoint.spec,
            checkpoint.config,
            checkpoint.statistics,
            checkpoint.weights,
            device,
            backend,
            **beside,
        )
        adjust(policy, options or {})
        return policy
    except PolicyError as error:
        raise CheckpointError(f"{folder}: {error}") from error


def read(folder: str | Path) -> Checkpoint:
    """The parts of a checkpoint folder, checked but for what only its policy knows."""
    path = Path(folder)
    described = read_config(path)
    return Checkpoint(
        described["spec"],
        described["config"],
        described["statistics"],
        _read_weights(path / WEIGHTS, described["sha256"]),
    )


def read_config(folder: str | Path) -> dict[str, Any]:
    """config.json, checked; its "spec" is a PolicySpec. Reads no weights."""
    path = Path(folder)
    if path.suffix in PICKLED or (path.is_file() and not path.name.endswith((".json", WEIGHTS))):
        raise CheckpointError(
            f"{path}: a checkpoint is a folder with {WEIGHTS} and {CONFIG}; pickled files can run "
            "code and are never loaded. `./aloha models import` converts those of ACT and LeRobot"
        )
    if path.is_file():
        raise CheckpointError(f"{path}: a checkpoint is the folder of this file: {path.parent}")
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such folder")
    file = path / CONFIG
    if not file.is_file():
        pickled = sorted(one.name for one in path.iterdir() if one.suffix in PICKLED)
        hint = f"; {pickled[0]} is pickled: `./aloha models import` converts it" if pickled else ""
        raise CheckpointError(f"{file}: missing{hint}")
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: damaged, no JSON: {error}") from error
    if not isinstance(described, dict):
        raise CheckpointError(f"{file}: expected an object, found {type(described).__name__}")
    if described.get("format") != FORMAT:
        found = described.get("format")
        what = f"format {found!r}" if "format" in described else "no format"
        hint = "; `./aloha models import` reads LeRobot's" if "input_features" in described else ""
        raise CheckpointError(f"{file}: {what}, this version reads format {FORMAT}{hint}")
    for key, kind in (
        ("policy", str),
        ("spec", dict),
        ("config", dict),
        ("statistics", dict),
        ("sha256", str),
    ):
        if not isinstance(described.get(key), kind):
            raise CheckpointError(f"{file}: {key}: missing, or no {_KINDS[kind]}")
    try:
        spec = PolicySpec.from_dict(described["spec"])
        policy_class(spec.policy)
    except PolicyError as error:
        raise CheckpointError(f"{file}: {error}") from error
    if spec.policy != described["policy"]:
        raise CheckpointError(f"{file}: policy {described['policy']!r}, its spec {spec.policy!r}")
    return described | {"spec": spec}


def file_hash(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


_KINDS = {str: "text", dict: "object"}


def _read_weights(file: Path, sha256: str) -> dict[str, Tensor]:
    if not file.is_file():
        raise CheckpointError(f"{file}: missing")
    try:
        weights = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{file}: truncated, or no safetensors file ({error}); copy the checkpoint again"
        ) from error
    if file_hash(file) != sha256:
        raise CheckpointError(
            f"{file}: its SHA-256 is not the one in {CONFIG}: the two are of different "
            "checkpoints, or one is damaged; copy the whole folder again"
        )
    return weights


def _replace(new: Path, file: Path) -> None:
    """Puts a written file in place; on disk before its name is."""
    with new.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(new, file)
