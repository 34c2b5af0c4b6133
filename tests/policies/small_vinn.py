"""Small VINNs for tests: a light encoder not trained, two cameras, three made-up episodes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aloha_stack.policies import vinn_index
from aloha_stack.policies.checkpoint import Checkpoint, load, save
from aloha_stack.policies.encoders import EncoderConfig
from aloha_stack.policies.policy import PolicySpec
from aloha_stack.policies.vinn import VinnPolicy, as_batch, weights_hash
from aloha_stack.policies.vinn_config import VinnConfig
from aloha_stack.policies.vinn_embedding import Embedding
from aloha_stack.policies.vinn_index import Index, Source, digest

CAMERAS = ("cam_high", "cam_low")
SIZE = (24, 32)
ROWS = (12, 9, 10)
CONFIG = VinnConfig(
    features="random",
    encoder=EncoderConfig("light", stages=(8, 16), norm_groups=4),
    grid=(2, 2),
    dims=6,
    neighbours=3,
    joint_weight=0.5,
    chunk=5,
)
SPEC = PolicySpec("vinn", "twin", CAMERAS, SIZE, 5, "transfer_cube")


def pictures(row: int) -> dict[str, np.ndarray]:
    """What the cameras saw at a row of the index."""
    noise = np.random.default_rng([row, 7])
    return {name: noise.integers(0, 256, (*SIZE, 3), np.uint8) for name in CAMERAS}


def joints(rows: int, seed: int = 0) -> np.ndarray:
    """(rows, 14)."""
    return np.random.default_rng([seed, 1]).normal(0, 0.3, (rows, 14)).astype(np.float32)


def embedding(config: VinnConfig = CONFIG, seed: int = 0) -> Embedding:
    """With start values of this seed, fitted to the pictures of all rows."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Embedding(config, CAMERAS)
    for camera in made.encoders:
        seen = torch.cat([as_batch(pictures(row)[camera]) for row in range(sum(ROWS))])
        made.projections[camera].fit(made.features(camera, seen))  # type: ignore[operator]
    return made


def index(made: Embedding) -> Index:
    """A row for each picture; actions count up, so that each is known by its numbers."""
    rows = sum(ROWS)
    embedded = [
        made({name: as_batch(one) for name, one in pictures(row).items()})
        if made.encoders
        else torch.zeros(1, 0)
        for row in range(rows)
    ]
    at, told = joints(rows), np.tile(np.arange(rows, dtype=np.float32)[:, None] / 50, 14)
    ends = np.repeat(np.cumsum(ROWS), ROWS)
    sources, first = [], 0
    for number, count in enumerate(ROWS):
        part = slice(first, first + count)
        sources.append(Source(f"episode_{number:06d}", number, count, digest(at[part], told[part])))
        first += count
    stored = torch.cat(embedded).numpy().astype(np.float16)
    return Index(stored, at, told, ends, tuple(sources))


def policy(**changes: Any) -> VinnPolicy:
    """Of CONFIG with changes."""
    config = replace(CONFIG, **changes)
    made = embedding(config)
    spec = SPEC if config.encoder is not None else replace(SPEC, cameras=(), image_size=None)
    return VinnPolicy(spec, config, made, index(made))


def saved(made: VinnPolicy, folder: Path) -> Path:
    """As a checkpoint."""
    weights = dict(made.embedding.state_dict())
    described = vinn_index.write(folder, made.index, weights_hash(weights))
    config = replace(made.config, index=described)
    save(folder, Checkpoint(made.spec, config.as_dict(), {}, weights), "# A test\n")
    return folder


def reloaded(made: VinnPolicy, folder: Path) -> VinnPolicy:
    """Through a folder."""
    again = load(saved(made, folder))
    assert isinstance(again, VinnPolicy)
    return again
