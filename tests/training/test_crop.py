"""What is cut out of the pictures for learning is what the policy looks at in whole ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aloha_stack.bench.synthetic_episode import synthetic_episode
from aloha_stack.cameras.jpeg import encode
from aloha_stack.policies.act import Act
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.fast_act import FastAct
from aloha_stack.training.act import ActObjective
from aloha_stack.training.data import open_data
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.recipes import load_recipe
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import open_episodes
from training.tiny_training import TINY

SIZE, CROP = (24, 32), (3, 5, 16, 20)
ASKED = [f"{key}={value}" for key, value in TINY.items()]
ASKED += [f"data.crop={list(CROP)}", "data.validation=0", "network.backbone=resnet18"]


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its pictures have no two rows or columns alike."""
    noise = np.random.default_rng(0)
    pictures = [encode(noise.integers(0, 255, (48, 64, 3), np.uint8), 95) for _ in range(8)]
    return synthetic_episode(tmp_path_factory.mktemp("episodes"), pictures, 1.2)


def network_of(objective: ActObjective, config: ActConfig) -> Act:
    network = Act(config).eval()
    network.load_state_dict(objective.module.state_dict())
    return network


def test_a_policy_sees_in_whole_pictures_what_was_cut_out_for_learning(episode: Path) -> None:
    recipe = load_recipe("act_cpu", ASKED)
    data = open_data([episode], recipe.data, None, lambda *_: None)
    torch.manual_seed(0)
    objective = ActObjective(recipe, data.train, data.statistics)
    assert (objective.config.crop, objective.spec.image_size) == (CROP, SIZE)
    learnt = objective.dataset(data.train)[[7]]
    settings = ReadSettings(cameras=objective.spec.cameras, image_size=SIZE)
    whole = EpisodeDataset(open_episodes([episode], settings), objective.config.chunk)[[7]]
    assert learnt["images"].shape[2:4] == CROP[2:]
    assert whole["images"].shape[2:4] == SIZE
    state = objective.state(learnt["state"])

    def eager(config: ActConfig, images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            network = network_of(objective, config)
            return network(images.permute(0, 1, 4, 2, 3), state).action[0]

    def fast(config: ActConfig) -> torch.Tensor:
        network = network_of(objective, config)
        return FastAct(network, *SIZE, torch.float32)(list(whole["images"][0]), state[0])

    config = objective.config
    expected = eager(config, learnt["images"])
    torch.testing.assert_close(eager(config, whole["images"]), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(fast(config), expected, atol=1e-5, rtol=0)
    top, left, height, width = CROP
    for other in ((top + 1, left, height, width), (top, left - 1, height, width)):
        moved = replace(config, crop=other)
        for found in (eager(moved, whole["images"]), fast(moved)):
            assert (found - expected).abs().max() > 1e-4
