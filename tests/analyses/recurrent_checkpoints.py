"""Small recurrent policies with weights as they begin, and episodes for them."""

from pathlib import Path
from typing import Any

import torch
import yaml

from aloha_stack.episodes.world_notes import NotedPosition, world_notes
from aloha_stack.policies import checkpoint
from aloha_stack.training.cae import CaeObjective
from aloha_stack.training.data import read_settings
from aloha_stack.training.recipes import load_recipe
from aloha_stack.training.recurrent import RecurrentObjective
from aloha_stack.training.statistics import statistics
from aloha_stack.training.store import open_episodes
from training.training_episodes import write

SIZE = (32, 32)
CHANGES: dict[str, dict[str, Any]] = {
    "each_layer_lstm": {"network.hidden": 6, "network.layers": 2, "network.points": 3},
    "cnnrnn": {},
    "sarnn": {"network.points": 3},
    "cae": {"data.step_hz": 50},
}


def episodes(folder: Path, count: int = 2, noted: bool = True) -> Path:
    """Of a second each, whose objects lay side by side."""
    for number in range(count):
        path = write(folder, 1.1, ("cam_low",), number=number, size=SIZE)
        if noted:
            _note(path, NotedPosition("ABC"[number], 0.5 * number, 0.1 * number))
    return folder


def policy(name: str, data: Path, out: Path) -> Path:
    """A checkpoint that knows nothing, for these episodes."""
    changes = {"data.image_size": list(SIZE), "data.crop": "null", **CHANGES[name]}
    recipe = load_recipe(name, [f"{key}={value}" for key, value in changes.items()])
    store = open_episodes(data, read_settings(recipe.data))
    torch.manual_seed(0)
    kind = CaeObjective if name == "cae" else RecurrentObjective
    objective = kind(recipe, store, statistics(store))
    checkpoint.save(out, objective.checkpoint(objective.module.state_dict()), "")
    return out


def _note(episode: Path, position: NotedPosition) -> None:
    file = episode / "metadata.yaml"
    document = yaml.safe_load(file.read_text())
    custom = document["rosbag2_bagfile_information"]["custom_data"]
    custom.update(world_notes("taught", position))
    file.write_text(yaml.safe_dump(document, sort_keys=False))
