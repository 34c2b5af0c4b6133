"""What is cut out of the pictures for learning is what the policy looks at in whole ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aloha_stack.bench.synthetic_episode import synthetic_episode
from aloha_stack.cameras.jpeg import encode
from aloha_stack.policies.act import Act
from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.policy import Observation
from aloha_stack.training.act import ActObjective
from aloha_stack.training.data import open_data, read_settings
from aloha_stack.training.dataset import EpisodeDataset
from aloha_stack.training.recipes import RecipeError, load_recipe
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.store import open_episodes
from training.tiny_training import TINY

SIZE, SEEN = (24, 32), (12, 16)
ASKED = [f"{key}={value}" for key, value in TINY.items()]
ASKED += ["data.validation=0", "network.backbone=resnet18", f"data.seen={list(SEEN)}"]


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its pictures have no two rows or columns alike."""
    noise = np.random.default_rng(0)
    pictures = [encode(noise.integers(0, 255, (48, 64, 3), np.uint8), 95) for _ in range(8)]
    return synthetic_episode(tmp_path_factory.mktemp("episodes"), pictures, 1.2)


@pytest.mark.parametrize("crop", [(3, 5, 12, 16), (3, 5, 18, 24)])
def test_a_policy_sees_in_whole_pictures_what_was_cut_out_for_learning(
    episode: Path, crop: tuple[int, int, int, int]
) -> None:
    recipe = load_recipe("act_cpu", [*ASKED, f"data.crop={list(crop)}"])
    data = open_data([episode], recipe.data, None, lambda *_: None)
    torch.manual_seed(0)
    objective = ActObjective(recipe, data.train, data.statistics)
    spec, config = objective.spec, objective.config
    assert (config.crop, config.seen, spec.image_size) == (crop, SEEN, SIZE)
    learnt = objective.dataset(data.train)[[7]]
    settings = ReadSettings(cameras=spec.cameras, image_size=SIZE)
    whole = EpisodeDataset(open_episodes([episode], settings), config.chunk)[[7]]
    assert (learnt["images"].shape[2:4], whole["images"].shape[2:4]) == (SEEN, SIZE)
    network = Act(config).eval()
    network.load_state_dict(objective.module.state_dict())
    with torch.inference_mode():
        images = learnt["images"].permute(0, 1, 4, 2, 3)
        expected = objective.action.inverse(
            network(images, objective.state(learnt["state"])).action
        )
    pictures = dict(zip(spec.cameras, whole["images"][0].numpy(), strict=True))
    observation = Observation(whole["state"][0].numpy(), pictures, 0)

    def found(part: tuple[int, int, int, int]) -> np.ndarray:
        other = Act(replace(config, crop=part)).eval()
        other.load_state_dict(network.state_dict())
        return ActPolicy(spec, other, objective.state, objective.action).act(observation)

    np.testing.assert_allclose(found(crop), expected[0], atol=1e-5)
    top, left, *size = crop
    for corner in ((top + 1, left), (top, left - 1)):
        assert np.abs(found((*corner, *size)) - expected[0].numpy()).max() > 1e-4


def test_a_crop_of_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"data: crop .*: expected top, left, height, width"):
        read_settings(load_recipe("act_cpu", ["data.crop=[]"]).data)
