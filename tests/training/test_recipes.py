"""Recipes: files in config/policies, --set, and complaints that name the key."""

from itertools import pairwise
from pathlib import Path

import pytest

from aloha_stack.policies.act_config import ActConfig
from aloha_stack.training.recipes import (
    Recipe,
    RecipeError,
    TrainingRecipe,
    load_recipe,
    recipe_names,
    recipe_of,
)
from aloha_stack.training.schedule import FINAL, Schedule


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_read_and_survives_json(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe_of(recipe.as_dict()) == recipe


def test_the_papers_recipe_is_the_papers() -> None:
    """Zhao et al. 2023, table III; tonyzhaozh/act, README."""
    recipe = load_recipe("act_paper")
    assert ActConfig.from_dict(recipe.network) == ActConfig()
    assert recipe.data.cameras is not None
    assert len(recipe.data.cameras) == ActConfig().cameras
    training = recipe.training
    assert (training.lr, training.backbone_lr, training.weight_decay) == (1e-5, 1e-5, 1e-4)
    assert (training.batch, training.draw, training.warmup) == (8, "episode", 0)
    assert (recipe.loss["kl_weight"], recipe.loss["std_floor"]) == (10.0, 0.01)
    assert (training.clip, training.ema, recipe.augmentation.shift_px) == (None, 0.0, 0)


def test_the_recipe_for_two_cores_is_light_and_whole() -> None:
    recipe = load_recipe("act_cpu")
    config = ActConfig.from_dict(recipe.network)
    assert config.cvae
    assert config.chunk >= 50
    assert recipe.data.cameras is not None
    assert len(recipe.data.cameras) >= 2


def test_set_changes_one_value() -> None:
    recipe = load_recipe(
        "act_cpu",
        ["training.batch=32", "data.cameras=[cam_low]", "training.lr=1e-4", "network.hidden=64"],
    )
    plain = load_recipe("act_cpu")
    assert recipe.training.batch == 32
    assert recipe.training.lr == 1e-4  # which YAML takes for a text
    assert recipe.data.cameras == ("cam_low",)
    assert recipe.network == {**plain.network, "hidden": 64}
    assert recipe.augmentation == plain.augmentation


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("training.batch=0", "training.batch: expected a whole number from 1, found 0"),
        ("training.batch=3.5", "training.batch: expected a whole number"),
        ("training.batch=true", "training.batch: expected a whole number"),
        ("training.lr=fast", "training.lr: expected a number, found 'fast'"),
        ("training.lr=.nan", "training.lr: expected a number above 0"),
        ("training.bach=3", "training.bach: unknown; expected one of steps"),
        ("training.ema=1", "training.ema: expected 0 … 1"),
        ("training=3", "training: expected a mapping"),
        ("training.draw=all", "training.draw: expected step or episode"),
        ("data.image_size=[120]", "data.image_size: expected a list of whole numbers or null"),
        ("data.cameras=cam_high", "data.cameras: expected a list of names or null"),
        ("augmentation.brightness=1.5", "augmentation.brightness: expected 0 … 1"),
        ("training.batch", "expected key=value"),
        ("training.lr.x=1", "has no keys of its own"),
        ("policy=[", "is no YAML"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_key(change: str, told: str) -> None:
    with pytest.raises(RecipeError) as refused:
        load_recipe("act_cpu", [change])
    assert told in str(refused.value)


def test_an_unknown_recipe_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    known = "there are act_cpu, act_insertion, act_paper"
    with pytest.raises(RecipeError, match=f"no recipe 'act_gpu'; {known}"):
        load_recipe("act_gpu")
    file = tmp_path / "mine.yaml"
    file.write_text("policy: act\ntraining: {batch: 2}\n")
    assert load_recipe(str(file)) == Recipe("act", training=TrainingRecipe(batch=2))
    file.write_text("- policy\n")
    with pytest.raises(RecipeError, match=r"mine.yaml: expected a mapping"):
        load_recipe(str(file))


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(RecipeError, match="contains itself"):
        load_recipe("act_cpu", ["data.cameras=&all [*all]"])


def test_step_sizes_warm_up_and_go_down_with_a_cosine() -> None:
    schedule = Schedule(TrainingRecipe(steps=1000, warmup=99))
    factors = [schedule.factor(step, schedule.done(step, 0.0)) for step in range(1001)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[49] == pytest.approx(0.5, rel=0.02)
    assert all(a > b for a, b in pairwise(factors[100:]))
    assert factors[500] == pytest.approx((1 + FINAL) / 2)
    assert factors[1000] == pytest.approx(FINAL)


def test_minutes_count_instead_of_steps_and_keep_time_for_the_last_validation() -> None:
    schedule = Schedule(TrainingRecipe(steps=10, minutes=2.0))
    assert schedule.done(100, 60.0) == 0.5
    assert schedule.done(0, 100.0, reserve_s=20.0) == 1.0
    constant = Schedule(TrainingRecipe(schedule="constant", warmup=0))
    assert {constant.factor(step, step / 10) for step in range(10)} == {1.0}
