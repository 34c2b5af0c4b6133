"""A training: it learns, it can be interrupted anywhere, and nothing that was saved is lost."""

import json
import math
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aloha_stack.policies.checkpoint import load, read_config
from aloha_stack.policies.policy import Observation
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.statistics import statistics
from aloha_stack.training.store import open_episodes, split_episodes
from training.tiny_training import last, resumed, stopping_after, tensors, tiny, train
from training.training_episodes import write


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    for number in range(3):
        write(folder, number=number, size=(24, 32))
    return folder


def test_what_is_learnt_is_a_policy_that_comes_close(episodes: Path, tmp_path: Path) -> None:
    changes = {
        "training.steps": 120,
        "training.validate_every": 40,
        "training.lr": 3e-3,
        "training.backbone_lr": 3e-3,
        "training.ema": 0.9,
        "loss.kl_weight": 0.1,
        "data.crop": "[4, 4, 16, 24]",  # the policy takes whole pictures all the same
    }
    train(tiny(episodes, tmp_path / "out", changes=changes))
    policy = load(tmp_path / "out")
    assert (policy.spec.cameras, policy.spec.image_size) == (("cam_high", "cam_low"), (24, 32))
    assert (policy.spec.robot, policy.spec.task, policy.spec.chunk) == ("twin", "pick", 8)
    paths, _ = split_episodes(episodes, 0.34)
    store = open_episodes(paths, ReadSettings(image_size=(24, 32)))
    pictures = np.empty(store.picture_shape, np.uint8)
    errors = []
    for step in range(0, 50, 5):
        store.frames.read(0, step, pictures)
        images = dict(zip(store.cameras, pictures, strict=True))
        chunk = policy.act(Observation(store.episodes[0].state[step], images))
        errors.append(np.abs(chunk - store.episodes[0].action[step : step + 8]).mean())
    moving = store.episodes[0].action.std(axis=0).mean()
    assert np.mean(errors) < 0.5 * moving


def test_an_interrupted_training_ends_with_the_same_weights_bit_for_bit(
    episodes: Path, tmp_path: Path
) -> None:
    changes = {"network.dropout": 0.1, "training.steps": 8, "training.validate_every": 3}
    train(tiny(episodes, tmp_path / "whole", changes=changes, seed=5))
    parts = tmp_path / "parts"
    train(tiny(episodes, parts, changes=changes, seed=5), stop=stopping_after(4))
    assert _state(parts)["step"] == 4
    train(resumed(parts), stop=stopping_after(1))
    train(resumed(parts))
    _same(last(tmp_path / "whole"), last(parts))
    _same(tensors(tmp_path / "whole/model.safetensors"), tensors(parts / "model.safetensors"))
    whole, pieces = _state(tmp_path / "whole"), _state(parts)
    for key in ("step", "best", "best_step", "since_best"):
        assert whole[key] == pieces[key], key
    assert [row["loss"] for row in whole["validations"]] == [
        row["loss"] for row in pieces["validations"]
    ]


def test_another_seed_gives_other_weights(episodes: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(tiny(episodes, tmp_path / str(seed), changes={"training.steps": 1}, seed=seed))
    one, other = (last(tmp_path / str(seed)) for seed in (0, 1))
    assert not torch.equal(one["weights/action_head.weight"], other["weights/action_head.weight"])


def test_a_training_by_time_ends_by_time(episodes: Path, tmp_path: Path) -> None:
    train(tiny(episodes, tmp_path / "out", minutes=0.03))
    assert "| ended | complete |" in (tmp_path / "out/CARD.md").read_text()
    assert _state(tmp_path / "out")["elapsed_s"] >= 0.5


def test_it_ends_early_when_validation_gets_no_better(episodes: Path, tmp_path: Path) -> None:
    changes = {
        "training.lr": "1e-30",  # nothing is learnt
        "training.backbone_lr": "1e-30",
        "training.validate_every": 1,
        "training.patience": 2,
    }
    train(tiny(episodes, tmp_path / "out", changes=changes))
    state = _state(tmp_path / "out")
    assert (state["step"], state["best_step"]) == (3, 1)
    assert "no better validation for 2 times" in (tmp_path / "out/CARD.md").read_text()


def test_the_best_policy_is_kept_when_later_ones_are_worse(episodes: Path, tmp_path: Path) -> None:
    changes = {"training.validate_every": 2, "training.ema": 0.0}
    out = tmp_path / "out"
    train(tiny(episodes, out, changes=changes), stop=stopping_after(2))
    best = (out / "model.safetensors").read_bytes()
    train(resumed(out, changes={"training.lr": 1.0, "training.backbone_lr": 1.0}))
    state = _state(out)
    assert (state["step"], state["best_step"]) == (6, 2)
    assert (out / "model.safetensors").read_bytes() == best


def test_a_loss_that_is_no_number_stops_it_and_leaves_what_was_saved(
    episodes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train(tiny(episodes, out), stop=stopping_after(3))
    before = last(out)
    endless = {"training.lr": 1e8, "training.backbone_lr": 1e8, "training.clip": "null"}
    with pytest.raises(TrainingError, match=r"no number \(NaN or infinite\)"):
        train(resumed(out, changes={**endless, "training.steps": 200}))
    _same(before, last(out))
    assert all(torch.isfinite(value).all() for value in last(out).values())
    load(out)


def test_a_full_disk_stops_it_and_leaves_what_was_saved(episodes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(tiny(episodes, out), stop=stopping_after(3))
    before, policy = last(out), (out / "model.safetensors").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # as a disk that gets full
    try:
        with pytest.raises(TrainingError, match="cannot be written"):
            train(resumed(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    _same(before, last(out))
    assert (out / "model.safetensors").read_bytes() == policy
    assert not list(out.rglob(".*.new"))
    train(resumed(out))
    assert _state(out)["step"] == 6


def test_normalisation_knows_the_training_split_only(episodes: Path, tmp_path: Path) -> None:
    train(tiny(episodes, tmp_path / "out", changes={"training.steps": 1, "loss.std_floor": 0.01}))
    paths, held_back = split_episodes(episodes, 0.34)
    assert held_back
    expected = statistics(open_episodes(paths, ReadSettings()))
    found = read_config(tmp_path / "out")["statistics"]
    for name in ("state", "action"):
        assert found[name]["mean"] == expected[name].as_dict()["mean"]
        assert found[name]["std"] == expected[name].as_dict()["std"]


def test_tensorboard_shows_losses_rate_and_step_size(episodes: Path, tmp_path: Path) -> None:
    train(tiny(episodes, tmp_path / "out"))
    events = EventAccumulator(str(tmp_path / "out/run"))
    events.Reload()
    shown = set(events.Tags()["scalars"])
    assert {"train/loss", "train/l1", "train/kl", "train/lr", "train/samples_per_s"} <= shown
    assert [event.step for event in events.Scalars("validation/l1")] == [3, 6]


def test_without_validation_the_last_weights_are_the_policy(episodes: Path, tmp_path: Path) -> None:
    train(tiny(episodes, tmp_path / "out", changes={"data.validation": 0, "training.ema": 0.0}))
    weights = tensors(tmp_path / "out/model.safetensors")
    _same(weights, {k[8:]: v for k, v in last(tmp_path / "out").items() if "weights/" in k})


def _state(out: Path) -> dict:
    from safetensors import safe_open

    with safe_open(out / "run/last.safetensors", "pt") as opened:
        state = json.loads(opened.metadata()["state"])
    assert math.isfinite(state["elapsed_s"])
    return state


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different
