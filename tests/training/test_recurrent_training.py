"""Recurrent policies in `./aloha train`: what is learnt, from what, and what is refused by name."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.policies.checkpoint import CheckpointError, load, read, read_config
from aloha_stack.policies.policy import Observation
from aloha_stack.policies.recurrent import Predicted, as_input
from aloha_stack.training.augmentation import Augmentation
from aloha_stack.training.cae import CaeObjective
from aloha_stack.training.computing import computed_in
from aloha_stack.training.data import read_settings
from aloha_stack.training.dataset import Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.recipes import Recipe, RecipeError, load_recipe
from aloha_stack.training.recurrent import RecurrentObjective, s_curve
from aloha_stack.training.sequences import SequenceDataset
from aloha_stack.training.statistics import statistics
from aloha_stack.training.store import EpisodeStore, open_episodes
from aloha_stack.training.training import Request
from training.tiny_training import last, one_thread, resumed, stopping_after, tensors, train
from training.training_episodes import write

CAMERA = ("cam_low",)
SIZE = (32, 32)
TINY = {
    "data.image_size": list(SIZE),
    "data.crop": "null",
    "data.validation": 0.34,
    "data.cache": "false",
    "training.batch": 2,
    "training.steps": 2,
    "training.validate_every": 2,
    "training.validation_samples": 2,
}
SMALL: dict[str, dict[str, Any]] = {
    "each_layer_lstm": {
        "network.hidden": 8,
        "network.layers": 2,
        "network.channels": [4, 4],
        "network.strides": [4, 1],
        "network.points": 4,
    },
    "cnnrnn": {},
    "sarnn": {"data.image_size": [16, 16]},
    "cae": {"data.step_hz": 50},
}


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    for number in range(3):
        write(folder, 1.1 + 0.1 * number, CAMERA, number=number, size=SIZE)
    return folder


@pytest.fixture(scope="module")
def store(episodes: Path) -> EpisodeStore:
    return open_episodes(episodes, read_settings(recipe("cnnrnn").data))


@pytest.fixture(scope="module")
def autoencoder(episodes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cae") / "out"
    train(tiny("cae", episodes, out))
    return out


def recipe(policy: str, **changes: Any) -> Recipe:
    return load_recipe(policy, _settings(policy, changes))


def tiny(policy: str, data: Path, out: Path, **changes: Any) -> Request:
    return Request(policy, (data,), out, changes=_settings(policy, changes), workers=0)


def _settings(policy: str, changes: dict[str, Any]) -> tuple[str, ...]:
    ranges = {} if policy == "cae" else {"loss.least_range": 0.05}  # these joints move little
    named = {**TINY, **ranges, **SMALL.get(policy, {}), **changes}
    return tuple(f"{key}={value}" for key, value in named.items())


def objective(policy: str, store: EpisodeStore, **changes: Any) -> RecurrentObjective:
    torch.manual_seed(0)
    return RecurrentObjective(recipe(policy, **changes), store, statistics(store))


def in_float32(one: RecurrentObjective) -> Any:
    weights = dict(one.module.named_parameters())
    return computed_in(one.module, weights, "fp32", one.rounded)


@pytest.mark.parametrize("policy", ["each_layer_lstm", "cnnrnn", "sarnn"])
def test_a_training_leaves_a_policy_that_acts(policy: str, episodes: Path, tmp_path: Path) -> None:
    train(tiny(policy, episodes, tmp_path / "out"))
    learnt = load(tmp_path / "out")
    assert (learnt.spec.policy, learnt.spec.stateful, learnt.spec.rate_hz) == (policy, True, 50.0)
    height, width = learnt.spec.image_size or (0, 0)
    picture = np.zeros((height, width, 3), np.uint8)
    chunk = learnt.act(Observation(np.full(14, 0.1, np.float32), {"cam_low": picture}))
    assert np.isfinite(chunk).all()
    np.testing.assert_allclose(chunk[:, :7], 0.1)  # the left arm, which it knows nothing of
    card = (tmp_path / "out/CARD.md").read_text()
    assert "mean squared errors, of joints in units of each one's range" in card
    samples, rounds = re.search(r"([\d,]+) samples \(([\d.]+) times the data\)", card).groups()
    learnt_from = int(re.search(r"(\d+) episodes .* to learn from", card)[1])
    assert float(rounds) == pytest.approx(int(samples.replace(",", "")) / learnt_from, abs=0.05)


def test_between_looks_the_last_picture_is_seen_and_none_of_the_future(
    store: EpisodeStore,
) -> None:
    one = objective("each_layer_lstm", store, **{"loss.look_every": 3})
    batch = one.dataset(store)[[0, 1, 2]]
    told = [term.mean for term in one.loss(in_float32(one), batch, Draws(0, 0)).values()]
    held = {**batch, "images": batch["images"].clone()}
    first = next(n for n in range(3) if _seen_first(one, store, batch, n) == told)
    for step in range(batch["images"].shape[1]):
        last = step - (step - first) % 3 if step >= first else 0
        held["images"][:, step] = batch["images"][:, last]
    plain = objective("each_layer_lstm", store)
    plain.module.load_state_dict(one.module.state_dict())
    for term, value in zip(plain.validate(in_float32(plain), held).values(), told, strict=True):
        torch.testing.assert_close(term.mean, value)
    every = [term.mean for term in plain.validate(in_float32(plain), batch).values()]
    assert every != told


def _seen_first(
    one: RecurrentObjective, store: EpisodeStore, batch: Sample, number: int
) -> list[Tensor]:
    """The losses where pictures from that one on are seen."""
    terms = one._terms(in_float32(one), batch, 1.0, slice(None), slice(number, None, 3))
    return [term.mean for term in terms.values()]


def test_an_interrupted_training_ends_with_the_same_weights(episodes: Path, tmp_path: Path) -> None:
    changes = {"training.steps": 4, "loss.points_epochs": 3, "network.points": 2}
    train(tiny("sarnn", episodes, tmp_path / "whole", **changes))
    parts = tmp_path / "parts"
    train(tiny("sarnn", episodes, parts, **changes), stop=stopping_after(3))
    request = resumed(parts)
    train(Request("sarnn", (), parts, workers=0, resume=request.resume))
    for name, value in last(tmp_path / "whole").items():
        assert torch.equal(last(parts)[name], value), name


def test_loss_falls_to_what_can_be_known(store: EpisodeStore) -> None:
    """Joints swing evenly: the next ones follow from those of now."""
    one = objective("each_layer_lstm", store)
    batch = one.dataset(store)[[0, 1, 2]]
    optimizer = torch.optim.Adam(one.module.parameters(), 0.02)
    losses = []
    with one_thread():
        for _ in range(60):
            (term,) = one.loss(in_float32(one), batch, Draws(0, 0)).values()
            optimizer.zero_grad()
            term.mean.backward()
            optimizer.step()
            losses.append(term.mean.item())
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("policy", ["cnnrnn", "sarnn"])
def test_padding_counts_for_nothing(policy: str, store: EpisodeStore) -> None:
    """Two episodes of different length in a batch cost what they cost one by one."""
    if policy == "sarnn":
        settings = read_settings(recipe("sarnn").data)
        store = EpisodeStore(store.episodes, settings)
    one = objective(policy, store)
    network, dataset = in_float32(one), one.dataset(store)
    both = one.validate(network, dataset[[0, 2]])
    alone = [one.validate(network, dataset[[number]]) for number in (0, 2)]
    assert dataset[[0, 2]]["is_pad"].any()
    for name, term in both.items():
        counts = [float(each[name].count) for each in alone]
        means = [each[name].mean.item() for each in alone]
        assert float(term.count) == sum(counts)
        assert term.mean.item() == pytest.approx(np.average(means, weights=counts), rel=1e-4)


def test_what_is_told_is_the_command_of_the_step_after_and_the_clean_picture(
    store: EpisodeStore,
) -> None:
    one = objective("cnnrnn", store, **{"loss.image_every": 1})
    recipe_ = recipe("cnnrnn").augmentation
    disturb = Augmentation(recipe_, statistics(store)["state"], kept_clean=one.kept_clean)
    untouched = one.dataset(store)[[0, 1]]
    batch = disturb(one.dataset(store)[[0, 1]], Draws(0, 0))
    given: list[Tensor] = []

    def perfect(images: Tensor, joints: Tensor, **named: Any) -> tuple[Predicted, None]:
        given.extend((images, joints))
        command = one.joints(untouched["action"][:, 1:, 7:])
        return Predicted(command, as_input(untouched["images"][:, 1:, 0], one.config)), None

    terms = one.loss(perfect, batch, Draws(0, 0))
    assert {name: float(term.mean) for name, term in terms.items()} == {"joint": 0.0, "image": 0.0}
    images, joints = given
    assert not torch.equal(images, as_input(untouched["images"][:, :-1, 0], one.config))
    noise = joints - one.joints(untouched["state"][:, :-1, 7:])
    assert 0.05 < noise.std() < 0.15


def test_pictures_are_told_at_some_steps_which_take_turns(store: EpisodeStore) -> None:
    """Over all first steps the terms are together those of every step."""
    every = objective("cnnrnn", store, **{"loss.image_every": 1})
    some = objective("cnnrnn", store, **{"loss.image_every": 3})
    batch, network = some.dataset(store)[[0, 2]], in_float32(some)
    whole = every.validate(in_float32(every), batch)["image"]
    found = {}
    for step in range(20):
        term = some.loss(network, batch, Draws(0, step))["image"]
        found[round(term.mean.item(), 9)] = (term.mean.item(), float(term.count))
    assert len(found) == 3
    means, counts = zip(*found.values(), strict=True)
    assert sum(counts) == float(whole.count)
    assert np.average(means, weights=counts) == pytest.approx(whole.mean.item(), rel=1e-4)


def test_measured_joints_further_ahead_can_be_the_target(store: EpisodeStore) -> None:
    one = objective("each_layer_lstm", store, **{"loss.target": "measured", "loss.ahead": 3})
    batch = one.dataset(store)[[0, 2]]
    batch["clean_state"] = batch["state"].clone()
    batch["state"] += 0.1

    def perfect(images: Tensor, joints: Tensor, **named: Any) -> tuple[Predicted, None]:
        assert joints.shape[1] == batch["state"].shape[1] - 3
        return Predicted(one.joints(batch["clean_state"][:, 3:, 7:])), None

    assert float(one.loss(perfect, batch, Draws(0, 0))["joint"].mean) == 0.0


def test_points_gain_their_weight_over_epochs_not_over_minibatches(store: EpisodeStore) -> None:
    settings = read_settings(recipe("sarnn").data)
    small = EpisodeStore(store.episodes, settings)
    one = objective("sarnn", small, **{"loss.points_epochs": 10, "loss.points": 0.5})
    batch, network = one.dataset(small)[[0, 1]], in_float32(one)
    # Two of three episodes a minibatch: six minibatches are four of ten epochs.
    weights = [one.loss(network, batch, Draws(0, step))["points"].weight for step in (0, 6, 15)]
    assert weights[0] == 0.0
    assert weights[1] == pytest.approx(0.5 * s_curve(0.4))
    assert weights[2] == 0.5
    assert one.validate(network, batch)["points"].weight == 0.5
    assert s_curve(0.25) == pytest.approx(0.25 - 1 / (2 * np.pi))


def test_memory_and_sharp_maps_stay_exact_and_little_is_lost_by_rounding(
    store: EpisodeStore,
) -> None:
    settings = read_settings(recipe("sarnn").data)
    small = EpisodeStore(store.episodes, settings)
    for policy, at in (("cnnrnn", store), ("sarnn", small), ("each_layer_lstm", store)):
        one = objective(policy, at)
        names = [name for name, _ in one.module.named_parameters() if one.rounded(name)]
        assert names
        assert not [n for n in names if "layer" in n or "point" in n or "maps" in n]
        batch = one.dataset(at)[[0, 1]]
        weights = dict(one.module.named_parameters())
        exact = one.validate(in_float32(one), batch)
        rounded = one.validate(computed_in(one.module, weights, "bf16", one.rounded), batch)
        for name, term in exact.items():
            assert rounded[name].mean.item() == pytest.approx(term.mean.item(), rel=0.03)


def test_bounds_are_those_of_training_episodes_and_hold_commands_too(
    episodes: Path, store: EpisodeStore, tmp_path: Path
) -> None:
    train(tiny("each_layer_lstm", episodes, tmp_path / "out"))
    bounds = read_config(tmp_path / "out")["statistics"]["joints"]
    used = EpisodeStore(
        [e for e in store.episodes if str(e.path) in _learnt_from(tmp_path / "out", episodes)],
        store.settings,
    )
    numbers = np.concatenate([np.concatenate([e.state, e.action]) for e in used.episodes])[:, 7:]
    np.testing.assert_allclose(bounds["minimum"], numbers.min(axis=0), atol=1e-6)
    np.testing.assert_allclose(bounds["maximum"], numbers.max(axis=0), atol=1e-6)
    assert bounds["names"][0] == "right_waist"


def _learnt_from(out: Path, episodes: Path) -> set[str]:
    from aloha_stack.training.store import split_episodes

    assert json.loads((out / "run/run.json").read_text())["recipe"]["data"]["validation"] == 0.34
    return {str(path) for path in split_episodes(episodes, 0.34)[0]}


def test_a_joint_that_never_moves_divides_by_no_zero(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / "still", 1.1, CAMERA, number=number, size=SIZE, still=["waist"])
    train(tiny("each_layer_lstm", tmp_path / "still", tmp_path / "out"))
    bounds = read_config(tmp_path / "out")["statistics"]["joints"]
    assert bounds["maximum"][0] - bounds["minimum"][0] == pytest.approx(0.05)
    for name, value in tensors(tmp_path / "out/model.safetensors").items():
        assert torch.isfinite(value).all(), name


def test_an_autoencoder_starts_a_cnnrnn(
    autoencoder: Path, store: EpisodeStore, episodes: Path, tmp_path: Path
) -> None:
    one = objective("cnnrnn", store, **{"network.encoder_from": autoencoder})
    trained = read(autoencoder).weights
    for name, value in one.module.encoder.state_dict().items():
        assert torch.equal(value, trained[f"encoder.{name}"])
    assert "encoder_from" not in one.config.as_dict()
    train(tiny("cnnrnn", episodes, tmp_path / "out", **{"network.encoder_from": autoencoder}))
    load(tmp_path / "out")


def test_an_autoencoder_is_the_eye_of_a_cae_rnn_and_stays_as_it_is(
    autoencoder: Path, episodes: Path, tmp_path: Path
) -> None:
    train(tiny("cae_rnn", episodes, tmp_path / "out", **{"network.encoder_from": autoencoder}))
    weights, trained = read(tmp_path / "out").weights, read(autoencoder).weights
    for name, value in trained.items():
        assert torch.equal(weights[f"autoencoder.{name}"], value)
    low, high = weights["feature_bounds"].tolist()
    assert -1.0 <= low < high <= 1.0
    load(tmp_path / "out")


def test_an_autoencoder_gives_back_moved_pictures_as_they_were_before_they_were_disturbed(
    store: EpisodeStore,
) -> None:
    told = recipe("cae")
    one = CaeObjective(told, store, statistics(store))
    batch = one.dataset(store)[[0, 9]]
    disturb = Augmentation(told.augmentation, statistics(store)["state"], kept_clean=one.kept_clean)
    batch = disturb(batch, Draws(0, 1))
    clean = as_input(batch["clean_images"][:, 0], one.config)
    assert float(one.loss(lambda images: clean, batch, Draws(0, 1))["image"].mean) == 0.0
    assert float(one.loss(lambda images: images, batch, Draws(0, 1))["image"].mean) > 0.0


def test_an_autoencoder_does_not_act(autoencoder: Path) -> None:
    with pytest.raises(CheckpointError, match="auto-encoder"):
        load(autoencoder)


@pytest.mark.parametrize(
    ("policy", "changes", "told"),
    [
        ("cae_rnn", {}, "cae_rnn needs an auto-encoder; `./aloha train cae`"),
        ("sarnn", {"network.encoder_from": "x"}, "starts cnnrnn or cae_rnn, not sarnn"),
        ("cnnrnn", {"network.encoder_from": "/nowhere"}, "network.encoder_from: /nowhere"),
        ("cnnrnn", {"loss.target": "wished"}, "loss.target: expected executed or measured"),
        ("cnnrnn", {"loss.ahead": 0}, "loss.ahead: expected a whole number from 1"),
        ("cnnrnn", {"loss.joint": 0}, "loss.joint: expected a number above 0"),
        ("cnnrnn", {"loss.pictures": 1}, "loss.pictures: unknown"),
        ("cnnrnn", {"network.joints": 7}, "network.joints follows from the data"),
        ("cnnrnn", {"network.arms": ["middle"]}, "network.arms: expected of left, right"),
        ("cnnrnn", {"network.points": 5}, "network.config: unknown: points"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    policy: str, changes: dict[str, Any], told: str, store: EpisodeStore
) -> None:
    with pytest.raises(RecipeError, match=told):
        objective(policy, store, **changes)


def test_an_autoencoder_of_another_kind_is_refused(
    autoencoder: Path, episodes: Path, store: EpisodeStore, tmp_path: Path
) -> None:
    changes = {"network.encoder_from": autoencoder, "network.features": 12}
    with pytest.raises(RecipeError, match="its features is 10, this network's 12"):
        objective("cnnrnn", store, **changes)
    train(tiny("each_layer_lstm", episodes, tmp_path / "lstm"))
    with pytest.raises(RecipeError, match="a each_layer_lstm; expected a cae"):
        objective("cnnrnn", store, **{"network.encoder_from": tmp_path / "lstm"})
    with pytest.raises(RecipeError, match="layer_norm"):
        objective(
            "cnnrnn", store, **{"network.encoder_from": autoencoder, "network.layer_norm": True}
        )


def test_pictures_that_would_not_come_back_at_their_size_are_refused(store: EpisodeStore) -> None:
    other = EpisodeStore(
        store.episodes, read_settings(recipe("cnnrnn", **{"data.image_size": [24, 20]}).data)
    )
    with pytest.raises(RecipeError, match=r"network\.image_size: pictures of 24×20 px"):
        objective("cnnrnn", other)
    with pytest.raises(RecipeError, match=r"network\.image_size: pictures of 24×20 px"):
        CaeObjective(recipe("cae"), other, statistics(other))


def test_several_cameras_and_other_states_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 1.1, size=SIZE)
    both = open_episodes(tmp_path, read_settings(recipe("cnnrnn", **{"data.cameras": "null"}).data))
    with pytest.raises(RecipeError, match="sees one camera, found cam_high, cam_low"):
        objective("cnnrnn", both)
    one = open_episodes(tmp_path, read_settings(recipe("cnnrnn").data))
    with pytest.raises(RecipeError, match=r"data.state: .*expected \[position\]"):
        objective("cnnrnn", one, **{"data.state": ["position", "velocity"]})


def test_episodes_of_fewer_than_two_steps_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, 1.1, CAMERA, size=SIZE)
    write(tmp_path, 0.03, CAMERA, size=SIZE, number=1)
    store = open_episodes(
        tmp_path, read_settings(recipe("cnnrnn", **{"data.allowed": ["good", "flawed"]}).data)
    )
    assert len(store.episodes[1]) == 1
    with pytest.raises(EpisodeError, match=r"no 2 steps in a row.*episode_000001 \(1 steps\)"):
        objective("cnnrnn", store)


def test_a_part_of_a_segment_without_a_next_step_is_left_out(store: EpisodeStore) -> None:
    lengths = [len(one) for one in store.episodes]
    parts = SequenceDataset(store, length=lengths[0] - 1, least=2)
    everything = SequenceDataset(store, length=lengths[0] - 1)
    samples: list[Sample] = [parts[number] for number in range(len(parts))]
    assert min(len(sample["state"]) for sample in samples) >= 2
    assert len(parts) < len(everything)
