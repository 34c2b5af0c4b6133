"""What a recurrent network is made of in training: sizes that the data has, bounds of joints, and
an auto-encoder that was trained beforehand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aloha_stack.episodes.joint_numbers import NAMES
from aloha_stack.policies.cae_rnn import CaeRnn
from aloha_stack.policies.checkpoint import read
from aloha_stack.policies.policy import PolicyError, PolicySpec
from aloha_stack.policies.recurrent import as_input
from aloha_stack.policies.recurrent_config import RecurrentConfig
from aloha_stack.policies.recurrent_networks import CAE, config_of
from aloha_stack.policies.recurrent_policy import chunk_rows
from aloha_stack.robot.joints import JOINTS, SIDES
from aloha_stack.training.recipes import Recipe, RecipeError
from aloha_stack.training.statistics import Statistics
from aloha_stack.training.store import EpisodeStore

ENCODER_FROM = "encoder_from"
"""The key of a recipe's `network` that names an auto-encoder's checkpoint; not one of its sizes."""
FROM_DATA = ("joints", "image_size", "crop")
_BOUND_PICTURES, _AT_ONCE = 2000, 100


def network_config(recipe: Recipe, store: EpisodeStore) -> RecurrentConfig:
    """Of a policy that sees one camera, its sizes as the data has them. Raises RecipeError."""
    if len(store.cameras) != 1:
        raise RecipeError(
            f"data.cameras: {recipe.policy} sees one camera, found "
            f"{', '.join(store.cameras) or 'none'}; choose with --set 'data.cameras=[cam_low]'"
        )
    if recipe.data.state != ("position",):
        raise RecipeError(
            f"data.state: {recipe.policy} tells the next positions from those of now; expected "
            f"[position], found {list(recipe.data.state)}"
        )
    fixed = [key for key in FROM_DATA if key in recipe.network]
    if fixed:
        raise RecipeError(f"network.{fixed[0]} follows from the data; leave it out")
    sizes = {key: value for key, value in recipe.network.items() if key != ENCODER_FROM}
    arms = sizes.get("arms", RecurrentConfig.arms)
    count = len(JOINTS) * (len(arms) if isinstance(arms, list | tuple) and arms else len(SIDES))
    sizes |= {
        "joints": count,
        "image_size": store.picture_shape[1:3],
        "crop": store.settings.crop,
    }
    try:
        return config_of(recipe.policy, sizes)
    except PolicyError as error:
        raise RecipeError(f"network.{error}") from error


def recurrent_spec(policy: str, store: EpisodeStore) -> PolicySpec:
    """What the policy needs and gives."""
    rate_hz = float(store.settings.alignment.step_hz)
    return PolicySpec(
        policy=policy,
        robot=store.episodes[0].robot,
        cameras=store.cameras,
        image_size=store.image_size,
        chunk=chunk_rows(rate_hz),
        task=", ".join(sorted({episode.task for episode in store.episodes})),
        rate_hz=rate_hz,
        state_names=store.settings.state_names,
        stateful=True,
    )


def joint_bounds(
    statistics: Mapping[str, Statistics], columns: Sequence[int], least_range: float
) -> dict[str, Any]:
    """For JSON: least and greatest number of each column in states and actions, at least
    `least_range` apart."""
    state, action = statistics["state"], statistics["action"]
    low = np.minimum(state.minimum, action.minimum)[list(columns)].astype(np.float64)
    high = np.maximum(state.maximum, action.maximum)[list(columns)].astype(np.float64)
    wider = np.maximum(least_range - (high - low), 0.0) / 2
    return {
        "names": [NAMES[column] for column in columns],
        "minimum": (low - wider).tolist(),
        "maximum": (high + wider).tolist(),
    }


def joint_columns(config: RecurrentConfig) -> list[int]:
    """Of the robot's 14 numbers, those of the config's arms."""
    chosen = config.arms or SIDES
    return [
        SIDES.index(side) * len(JOINTS) + joint for side in chosen for joint in range(len(JOINTS))
    ]


def autoencoder_weights(source: Path, config: RecurrentConfig) -> Mapping[str, Tensor]:
    """Weights of a checkpoint that `./aloha train cae` made, for pictures like these."""
    checkpoint = read(source)
    if checkpoint.spec.policy != CAE:
        raise PolicyError(f"a {checkpoint.spec.policy}; expected a {CAE}")
    trained = config_of(CAE, checkpoint.config)
    own = config.as_dict()
    for key, value in trained.as_dict().items():
        if key in own and key not in ("joints", "arms", "crop") and own[key] != value:
            raise PolicyError(f"its {key} is {value}, this network's {own[key]}")
    return checkpoint.weights


@torch.no_grad()
def feature_bounds(network: CaeRnn, store: EpisodeStore) -> Tensor:
    """(2,) least and greatest number in the features of training pictures, spread evenly."""
    steps = np.linspace(0, len(store) - 1, min(len(store), _BOUND_PICTURES)).astype(int)
    least, greatest = torch.inf, -torch.inf
    for first in range(0, len(steps), _AT_ONCE):
        chosen = steps[first : first + _AT_ONCE]
        pictures = torch.empty((len(chosen), *store.picture_shape), dtype=torch.uint8)
        for out, step in zip(pictures.numpy(), chosen, strict=True):
            store.frames.read(*store.locate(int(step)), out)
        features = network.autoencoder.encode(as_input(pictures[:, 0], network.config))
        least = min(least, float(features.min()))
        greatest = max(greatest, float(features.max()))
    if greatest - least < 1e-6:
        raise RecipeError(
            f"network.{ENCODER_FROM}: its features are {least:g} for every picture; train it longer"
        )
    return torch.tensor([least, greatest])
