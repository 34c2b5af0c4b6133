"""The memory of a VINN: an encoder from somewhere, fitted to pictures, and a row for each step."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aloha_stack.policies.byol import read_encoders
from aloha_stack.policies.encoders import LIGHT
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.vinn_config import JOINTS_ALONE, VinnConfig
from aloha_stack.policies.vinn_embedding import Embedding
from aloha_stack.policies.vinn_index import Index, Source, check_sources, digest
from aloha_stack.policies.weights import load_weights
from aloha_stack.training.encoder_files import read_torchvision
from aloha_stack.training.store import EpisodeStore

RANDOM = "random"
BATCH = 32
"""Pictures of each camera that are encoded at once."""

Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Eyes:
    """An embedding that is not fitted yet, and its config with what it follows from."""

    config: VinnConfig
    embedding: Embedding


def eyes(source: str, config: VinnConfig, store: EpisodeStore) -> Eyes:
    """`source`: "joints", "random", a checkpoint of BYOL, or a file of torchvision's weights.

    `config.encoder` is taken unless the source has its own. Draws random weights from torch's
    generator. Raises PolicyError, which names what does not fit.
    """
    if source == JOINTS_ALONE:
        config = replace(
            config, features=JOINTS_ALONE, encoder=None, dims=None, crop=None, seen=None
        )
        return Eyes(config, Embedding(config, ()))
    if not store.cameras:
        raise PolicyError(f"encoder {source}: there is no camera to see with; take 'joints'")
    if source == RANDOM:
        config = replace(config, features=RANDOM)
        return Eyes(config, Embedding(config, store.cameras))
    path = Path(source)
    if path.is_dir():
        return _of_byol(path, config, store)
    if not path.is_file():
        raise PolicyError(
            f"encoder '{source}': expected joints, random, the folder of a BYOL, or a file of "
            "torchvision's weights"
        )
    config = replace(config, features=path.name)
    if config.encoder is not None and config.encoder.backbone == LIGHT:
        raise PolicyError(f"encoder {source}: torchvision has resnet18 and resnet50, no light one")
    made = Embedding(config, store.cameras)
    weights = read_torchvision(path)
    for camera in store.cameras:
        _load(made, camera, {f"backbone.{name}": value for name, value in weights.items()}, source)
    return Eyes(config, made)


def _of_byol(path: Path, config: VinnConfig, store: EpisodeStore) -> Eyes:
    found = read_encoders(path)
    missing = [camera for camera in store.cameras if camera not in found.weights]
    if missing:
        raise PolicyError(
            f"encoder {path}: it has none for {', '.join(missing)}, only for "
            f"{', '.join(found.weights)}"
        )
    if found.picture is not None and found.picture != store.picture_shape[1:3]:
        raise PolicyError(
            f"encoder {path}: trained on pictures of {found.picture} px (height, width), these "
            f"are {store.picture_shape[1:3]}: give data.image_size, crop and seen as it has them"
        )
    config = replace(config, features="byol", encoder=found.config)
    made = Embedding(config, store.cameras)
    for camera in store.cameras:
        _load(made, camera, found.weights[camera], str(path))
    return Eyes(config, made)


def _load(made: Embedding, camera: str, weights: Mapping[str, Tensor], source: str) -> None:
    try:
        load_weights(made.encoders[camera], weights)
    except PolicyError as error:
        raise PolicyError(f"encoder {source}: {error}") from error


def fit(embedding: Embedding, store: EpisodeStore, pictures: int, tell: Tell) -> None:
    """Means, scales and principal components, of so many pictures spread evenly over a store.
    Raises PolicyError for more components than pictures or numbers can have."""
    if not embedding.encoders:
        return
    steps = np.unique(np.linspace(0, len(store) - 1, min(len(store), pictures)).astype(int))
    found: dict[str, list[Tensor]] = {camera: [] for camera in store.cameras}
    for done, seen in _batches(store, [store.locate(int(step)) for step in steps]):
        tell("looking at pictures", done / len(steps))
        for camera, batch in seen.items():
            found[camera].append(embedding.features(camera, batch))
    for camera, parts in found.items():
        features = torch.cat(parts)
        dims = embedding.config.dims
        most = min(features.shape[1], len(features) - 1)
        if dims is not None and dims > most:
            raise PolicyError(
                f"dims: {dims} components of {features.shape[1]} numbers in {len(features)} "
                f"pictures; at most {most}"
            )
        if not torch.isfinite(features).all():
            raise PolicyError(f"the encoder of {camera} gives no numbers (NaN or infinite)")
        embedding.projections[camera].fit(features)  # type: ignore[operator]


def memory(embedding: Embedding, store: EpisodeStore, tell: Tell) -> Index:
    """A row for each step of a store. Raises PolicyError for an episode that is there twice."""
    sources = []
    for one in store.episodes:
        told = digest(one.state, one.action)
        sources.append(Source(one.path.name, int(one.time_ns[0]), len(one), told))
    check_sources(sources)
    places = [store.locate(step) for step in range(len(store))]
    rows = []
    if embedding.encoders:
        for done, seen in _batches(store, places):
            tell("encoding demonstrations", done / len(places))
            rows.append(embedding(seen).numpy().astype(np.float16))
    else:
        rows = [np.empty((len(store), 0), np.float16)]
    ends = [
        first + one.segment_end for first, one in zip(store.first, store.episodes, strict=False)
    ]
    return Index(
        np.concatenate(rows),
        np.concatenate([one.state for one in store.episodes]),
        np.concatenate([one.action for one in store.episodes]),
        np.concatenate(ends).astype(np.int64),
        tuple(sources),
    )


def embedded(embedding: Embedding, store: EpisodeStore, steps: np.ndarray) -> np.ndarray:
    """(n, D) float32 of these steps of a store."""
    if not embedding.encoders:
        return np.empty((len(steps), 0), np.float32)
    places = [store.locate(int(step)) for step in steps]
    return np.concatenate([embedding(seen).numpy() for _, seen in _batches(store, places)])


def _batches(
    store: EpisodeStore, places: list[tuple[int, int]]
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """How many are done, and each camera's next pictures (B, 3, H, W) uint8."""
    for first in range(0, len(places), BATCH):
        chosen = places[first : first + BATCH]
        pictures = np.empty((len(chosen), *store.picture_shape), np.uint8)
        for out, place in zip(pictures, chosen, strict=True):
            store.frames.read(*place, out)
        cameras = torch.from_numpy(pictures).permute(1, 0, 4, 2, 3)
        yield first, dict(zip(store.cameras, cameras, strict=True))
