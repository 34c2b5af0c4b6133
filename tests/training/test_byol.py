"""BYOL in `./aloha train`: views, target, what is kept, resuming, and ACT that begins from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aloha_stack.policies.byol import read_encoders
from aloha_stack.policies.checkpoint import CheckpointError, load
from aloha_stack.policies.encoders import EncoderConfig
from aloha_stack.training.act import ActObjective
from aloha_stack.training.byol import ByolObjective
from aloha_stack.training.byol_network import Byol, distance
from aloha_stack.training.byol_views import CHANCES, ViewRecipe, crop, view, views
from aloha_stack.training.data import read_settings
from aloha_stack.training.dataset import Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.recipes import Recipe, RecipeError, load_recipe
from aloha_stack.training.statistics import statistics
from aloha_stack.training.store import open_episodes
from aloha_stack.training.training import Request
from training.tiny_training import TINY as TINY_ACT
from training.tiny_training import last, one_thread, stopping_after, train
from training.training_episodes import TWO_CAMERAS, write

TINY: dict[str, Any] = {
    "data.cameras": "[cam_high, cam_low]",
    "data.image_size": "[24, 32]",
    "data.crop": "null",
    "data.seen": "null",
    "data.validation": 0.34,
    "data.cache": "false",
    "network.stages": "[8, 16]",
    "network.norm_groups": 4,
    "loss.hidden": 8,
    "loss.projection": 4,
    "training.batch": 4,
    "training.steps": 4,
    "training.validate_every": 2,
    "training.validation_samples": 4,
}


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    for number in range(3):
        write(folder, 1.1, number=number, size=(24, 32))
    return folder


@pytest.fixture(scope="module")
def eyes(episodes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "eyes"
    train(request(episodes, out))
    return out


def sets(changes: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for key, value in changes.items())


def request(data: Path, out: Path, **changes: Any) -> Request:
    return Request("byol", (data,), out, changes=sets({**TINY, **changes}), workers=0)


def objective(recipe: Recipe, data: Path) -> ByolObjective:
    store = open_episodes(data, read_settings(recipe.data))
    torch.manual_seed(0)
    return ByolObjective(recipe, store, statistics(store))


def batch(made: ByolObjective, data: Path, recipe: Recipe) -> Sample:
    store = open_episodes(data, read_settings(recipe.data))
    return made.dataset(store)[[0, 30, 60, 90]]


# -- views ----------------------------------------------------------------------------------------


def test_every_picture_is_cropped_and_coloured_on_its_own() -> None:
    """One crop for a whole batch is a known mistake."""
    scene = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    images = np.broadcast_to(scene, (6, 2, *scene.shape))
    chance = np.random.default_rng(1).uniform(0, 1, (6, 2, CHANCES))
    seen = views(images, chance, ViewRecipe(jitter=1.0)).reshape(12, -1)
    assert len(np.unique(seen, axis=0)) == 12
    parts = {crop(one[:4], (24, 32), ViewRecipe()) for one in chance.reshape(12, -1)}
    assert len(parts) == 12


def test_a_crop_has_the_area_and_shape_that_are_asked_for_and_lies_in_the_picture() -> None:
    recipe = ViewRecipe()
    for chance in np.random.default_rng(2).uniform(0, 1, (300, 4)):
        left, top, width, height = crop(chance, (240, 320), recipe)
        assert min(left, top) >= 0
        assert left + width <= 320 + 1e-9
        assert top + height <= 240 + 1e-9
        area = width * height / (240 * 320)
        assert area <= 1 + 1e-9
        if width < 320 and height < 240:
            assert area >= 0.6 - 1e-9
            assert 3 / 4 - 1e-9 <= width / height <= 4 / 3 + 1e-9


def test_left_stays_left_and_what_is_switched_off_changes_nothing() -> None:
    picture = np.zeros((24, 32, 3), np.uint8)
    picture[:, :16] = 200
    plain = ViewRecipe(area=(1.0, 1.0), ratio=(4 / 3, 4 / 3), jitter=0, grey=0, blur=0)
    assert np.array_equal(view(picture, np.full(CHANCES, 0.5), plain), picture)
    for chance in np.random.default_rng(3).uniform(0, 1, (50, CHANCES)):
        seen = view(picture, chance, ViewRecipe(jitter=0)).astype(float)
        assert seen[:, :4].mean() > seen[:, -4:].mean()


def test_grey_has_no_colour_and_a_blur_softens() -> None:
    picture = np.random.default_rng(4).integers(0, 256, (24, 32, 3), np.uint8)
    whole = {"area": (1.0, 1.0), "ratio": (4 / 3, 4 / 3), "jitter": 0.0}
    grey = view(picture, np.full(CHANCES, 0.5), ViewRecipe(**whole, grey=1, blur=0))
    assert (np.ptp(grey, axis=2) <= 1).all()
    soft = view(picture, np.full(CHANCES, 0.5), ViewRecipe(**whole, grey=0, blur=1))
    assert soft.std() < 0.8 * picture.std()


# -- loss and target ------------------------------------------------------------------------------


def test_the_distance_is_of_angles_alone() -> None:
    one = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    other = torch.tensor([[3.0, 0.0], [5.0, 0.0], [-1.0, -1.0]])
    assert torch.allclose(distance(one, other), torch.tensor([0.0, 2.0, 4.0]))


def test_the_loss_counts_both_directions_and_moves_no_target() -> None:
    torch.manual_seed(0)
    config = EncoderConfig("light", stages=(8,), norm_groups=4)
    network = Byol(("cam_high",), config, 8, 4)
    first, second = torch.rand(2, 4, 1, 3, 16, 16)
    assert torch.allclose(network(first, second), network(second, first), atol=1e-5)
    network(first, second).sum().backward()
    assert all(p.grad is None for p in network.target.parameters())
    assert all(p.grad is not None for p in network.online.parameters())


def test_the_target_follows_by_a_hundredth_a_step(episodes: Path) -> None:
    recipe = load_recipe("byol", sets(TINY))
    made = objective(recipe, episodes)
    seen = batch(made, episodes, recipe)
    online, target = (dict(p.named_parameters()) for p in (made.module.online, made.module.target))
    name = next(iter(online))
    assert torch.equal(online[name], target[name])
    with torch.no_grad():
        online[name] += 1.0
    before = target[name].clone()
    made.loss(made.module, seen, Draws(0, 0))
    assert torch.allclose(target[name], before + 0.01, atol=1e-6)


def test_what_is_alike_in_features_is_judged_by_the_joints_of_other_episodes(
    episodes: Path,
) -> None:
    recipe = load_recipe("byol", sets(TINY))
    made = objective(recipe, episodes)
    features = torch.tensor([[0.0], [0.1], [1.0], [1.1]])
    seen = {
        "images": torch.zeros(4, 2, 24, 32, 3, dtype=torch.uint8),
        "episode": torch.tensor([0, 0, 1, 1]),
        "state": torch.arange(4.0)[:, None].expand(4, 14) * made._std,
    }
    terms = made.validate(lambda images: features, seen)
    # Of 0: 2 (of the other episode), of 1: 2, of 2: 1, of 3: 1; so 2, 1, 1, 2 apart.
    assert float(terms["retrieval"].mean) == pytest.approx(1.5)


# -- as trained -----------------------------------------------------------------------------------


def test_its_checkpoint_holds_an_encoder_for_each_camera_and_does_not_act(eyes: Path) -> None:
    found = read_encoders(eyes)
    assert tuple(found.weights) == TWO_CAMERAS
    assert found.picture == (24, 32)
    assert "backbone.stem.weight" in found.weights["cam_low"]
    with pytest.raises(CheckpointError, match="do not act themselves"):
        load(eyes)


def test_a_training_that_was_interrupted_ends_with_the_very_weights(
    episodes: Path, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(request(episodes, whole))
    train(request(episodes, parts), stop=stopping_after(2))
    train(Request("byol", (), parts, workers=0, resume=True))
    first, second = last(whole), last(parts)
    assert any("target" in name for name in first)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_act_begins_with_the_encoder_of_its_first_camera(eyes: Path, episodes: Path) -> None:
    changes = {**TINY_ACT, "network.norm_groups": 4, "loss.backbone_weights": eyes}
    recipe = load_recipe("act_cpu", sets({**changes, "data.cameras": "[cam_low]"}))
    store = open_episodes(episodes, read_settings(recipe.data))
    with one_thread():
        network = ActObjective(recipe, store, statistics(store)).module
    wanted = read_encoders(eyes).weights["cam_low"]["backbone.stem.weight"]
    assert torch.equal(network.backbone.stem.weight, wanted)


def test_a_byol_that_does_not_fit_act_is_refused(eyes: Path, episodes: Path) -> None:
    recipe = load_recipe(
        "act_cpu",
        sets({**TINY_ACT, "network.stages": "[16, 16]", "loss.backbone_weights": eyes}),
    )
    store = open_episodes(episodes, read_settings(recipe.data))
    with pytest.raises(RecipeError, match=r"loss.backbone_weights.*eyes.*of another shape"):
        ActObjective(recipe, store, statistics(store))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"loss.decay": 1.5}, "loss.decay: expected a number of 0 … 1"),
        ({"loss.flip": 0.5}, "loss.flip: unknown"),
        ({"loss.area": "[0.9, 0.6]"}, "loss.area: expected least and greatest"),
        ({"loss.grey": 2}, "loss.grey: expected 0 … 1"),
        ({"network.backbone": "resnet34"}, "network.backbone: expected resnet18"),
        ({"loss.start": "nowhere.pth"}, "loss.start: nowhere.pth: missing"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(
    change: dict[str, Any], match: str, episodes: Path
) -> None:
    with pytest.raises(RecipeError, match=match):
        objective(load_recipe("byol", sets({**TINY, **change})), episodes)
