"""`./aloha train vinn`: an index of episodes, numbers that are chosen, episodes that join later."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aloha_stack.policies.checkpoint import Checkpoint, load, read_config, save
from aloha_stack.policies.encoders import Encoder, EncoderConfig
from aloha_stack.policies.policy import Observation, PolicySpec
from aloha_stack.policies.vinn import VinnPolicy, neighbour_weights
from aloha_stack.training.cli import main
from aloha_stack.training.data import read_settings
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.recipes import RecipeError, load_recipe
from aloha_stack.training.store import EpisodeStore, open_episodes
from aloha_stack.training.training import Request
from aloha_stack.training.vinn_choice import Candidates, questions, trials
from aloha_stack.training.vinn_request import make_vinn
from training.tiny_training import one_thread
from training.training_episodes import write

SEEN: dict[str, Any] = {
    "data.cameras": "[cam_high, cam_low]",
    "data.image_size": "[24, 32]",
    "data.crop": "[[2, 4, 20, 24], [0, 0, 24, 32]]",
    "data.seen": "[16, 20]",
    "data.cache": "false",
}
TINY: dict[str, Any] = {
    **SEEN,
    "data.validation": 0.34,
    "network.encoder": "{backbone: light, stages: [8, 16], norm_groups: 4}",
    "network.grid": "[2, 2]",
    "network.dims": 4,
    "network.neighbours": "[1, 2]",
    "network.chunk": 10,
    "network.every": 1,
    "network.fit_pictures": 40,
    "training.validation_samples": 12,
}


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    for number in range(3):
        write(folder, 1.1 + 0.1 * number, number=number, size=(24, 32))
    return folder


@pytest.fixture(scope="module")
def model(episodes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "vinn"
    make(episodes, out)
    return out


def sets(changes: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for key, value in changes.items())


def make(data: Path, out: Path, encoder: str | None = None, **changes: Any) -> None:
    request = Request("vinn", (data,), out, changes=sets({**TINY, **changes}), encoder=encoder)
    with one_thread():
        make_vinn(request)


def policy_in(folder: Path) -> VinnPolicy:
    policy = load(folder)
    assert isinstance(policy, VinnPolicy)
    return policy


def store_of(data: Path) -> EpisodeStore:
    return open_episodes(
        data,
        read_settings(
            load_recipe("vinn", sets({**TINY, "data.crop": "null", "data.seen": "null"})).data
        ),
    )


def test_every_recorded_step_finds_itself_and_what_was_commanded_there(
    model: Path, episodes: Path
) -> None:
    """Through the whole way: what the recorder wrote, as a rollout would see it."""
    policy, store = policy_in(model), store_of(episodes)
    policy.adjust("neighbours", "1")
    assert len(policy.index) == len(store)
    for number, step in ((0, 0), (1, 20), (2, 55)):
        pictures = np.empty(store.picture_shape, np.uint8)
        store.frames.read(number, step, pictures)
        one = store.episodes[number]
        images = dict(zip(store.cameras, pictures, strict=True))
        chunk = policy.act(Observation(one.state[step], images))
        assert policy.distance < 1e-2
        wanted = one.action[np.minimum(np.arange(step, step + 10), len(one) - 1)]
        assert np.allclose(chunk, wanted, atol=1e-6)


def test_the_best_of_what_may_be_chosen_is_chosen_and_told(model: Path) -> None:
    config = read_config(model)["config"]
    assert config["neighbours"] in (1, 2)
    assert config["usual"] > 0
    card = (model / "CARD.md").read_text()
    rows = [line for line in card.splitlines() if line.startswith(("| 1 |", "| 2 |"))]
    errors = [float(row.split("|")[4]) for row in rows]
    assert errors == sorted(errors)
    first = rows[0].split("|")
    assert int(first[1]) == config["neighbours"]
    assert float(first[2]) == config["joint_weight"]


def test_the_error_of_a_choice_is_that_of_its_policy(model: Path, episodes: Path) -> None:
    policy, store = policy_in(model), store_of(episodes)
    steps = np.array([3, 40])
    joints = np.stack([store.episodes[0].state[step] for step in steps])
    embeddings = policy.index.embeddings[[7, 90]].astype(np.float32)
    asked = questions(store, steps, embeddings, 10)
    config = replace(policy.config, apart=False)
    found = trials(policy.index, config, asked, Candidates((2,), (0.5,), (0.3,)), lambda *_: None)[
        0
    ]
    policy.adjust("neighbours", "2")
    policy.adjust("joint_weight", "0.5")
    policy.adjust("temperature", "0.3")
    scale = np.maximum(policy.index.actions.std(axis=0), 0.05)
    errors = []
    for embedding, state, wanted in zip(embeddings, joints, asked.actions, strict=True):
        visual = np.linalg.norm(policy.index.embeddings.astype(float) - embedding, axis=1)
        total = visual + 0.5 * np.linalg.norm(policy.index.joints - state, axis=1)
        rows = np.argsort(total)[:2]
        weights = neighbour_weights(total[rows], 0.3)
        told = sum(w * policy.index.chunk(int(r), 10) for w, r in zip(weights, rows, strict=True))
        errors.append(np.abs(told - wanted) / scale)
    assert asked.counts.all()
    assert found.error == pytest.approx(np.mean(errors), rel=1e-4)


def test_an_episode_joins_without_training_and_is_then_found(model: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more", 1.2, number=5, size=(24, 32))
    before = policy_in(model)
    weights = (model / "model.safetensors").read_bytes()
    rows = before.index.embeddings.copy()
    assert main(["vinn", "--data", str(more), "--out", str(model), "--add"]) == 0
    after = policy_in(model)
    assert (model / "model.safetensors").read_bytes() == weights
    assert len(after.index.sources) == len(before.index.sources) + 1
    assert np.array_equal(after.index.embeddings[: len(rows)], rows)
    assert len(list(model.glob("index-*"))) == 1
    assert "Joined later: episode_000000" in (model / "CARD.md").read_text()
    store = store_of(more)
    pictures = np.empty(store.picture_shape, np.uint8)
    store.frames.read(0, 30, pictures)
    images = dict(zip(store.cameras, pictures, strict=True))
    after.act(Observation(store.episodes[0].state[30], images))
    assert after.distance < 1e-2
    assert after.neighbours is not None
    assert after.neighbours.rows[0] == len(rows) + 30


def test_an_episode_that_is_there_already_is_refused_and_changes_nothing(
    episodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "vinn"
    make(episodes, out, encoder="joints")
    before = (out / "config.json").read_bytes()
    assert main(["vinn", "--data", str(episodes), "--out", str(out), "--add"]) == 1
    assert "holds the very frames of" in capsys.readouterr().err
    assert (out / "config.json").read_bytes() == before
    policy_in(out)


def test_joints_alone_see_no_camera(episodes: Path, tmp_path: Path) -> None:
    make(episodes, tmp_path / "vinn", encoder="joints")
    policy = policy_in(tmp_path / "vinn")
    assert policy.spec.cameras == ()
    one = store_of(episodes).episodes[0]
    policy.adjust("neighbours", "1")
    assert np.allclose(policy.act(Observation(one.state[9], {}))[0], one.action[9], atol=1e-6)


def test_a_byol_lends_its_encoders_and_only_to_pictures_like_its_own(
    episodes: Path, tmp_path: Path
) -> None:
    eyes, config = tmp_path / "eyes", EncoderConfig("light", stages=(8, 16), norm_groups=4)
    spec = PolicySpec("byol", "twin", ("cam_high", "cam_low"), (24, 32), 1, "pick")
    weights = {
        f"{camera}.{name}": value
        for camera in spec.cameras
        for name, value in Encoder(config).state_dict().items()
    }
    told = {**config.as_dict(), "crop": [[2, 4, 20, 24], [0, 0, 24, 32]], "seen": [16, 20]}
    save(eyes, Checkpoint(spec, told, {}, weights), "# A test\n")
    make(episodes, tmp_path / "vinn", encoder=str(eyes))
    made = policy_in(tmp_path / "vinn")
    assert made.config.features == "byol"
    name = "encoders.cam_low.backbone.stem.weight"
    lent = weights["cam_low.backbone.stem.weight"]
    assert torch.equal(made.embedding.state_dict()[name], lent)
    with pytest.raises(TrainingError, match=r"eyes: trained on pictures of \(16, 20\)"):
        make(episodes, tmp_path / "other", encoder=str(eyes), **{"data.seen": "[12, 16]"})
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("encoder", "changes", "error", "match"),
    [
        ("nothing", {}, TrainingError, "encoder 'nothing': expected joints, random"),
        ("random", {"network.neighbours": 1000}, RecipeError, "1000 neighbours; there are only"),
        ("random", {"network.dims": 1000}, TrainingError, "dims: 1000 components"),
        ("random", {"network.temperature": 0}, RecipeError, "network.temperature: expected"),
        ("random", {"network.k": 3}, RecipeError, "network.k: unknown"),
        ("random", {"loss.x": 3}, RecipeError, "loss.x: a VINN has no loss"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_left(
    encoder: str,
    changes: dict[str, Any],
    error: type[Exception],
    match: str,
    episodes: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=match):
        make(episodes, tmp_path / "vinn", encoder=encoder, **changes)
    assert not (tmp_path / "vinn").exists()


def test_requests_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        (["act", "--data", "a", "--out", "b", "--encoder", "random"], "are for vinn"),
        (["vinn", "--out", "b", "--resume"], "made at once"),
        (["vinn", "--data", "a", "--out", "b", "--add", "--encoder", "x"], "no --encoder"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert told in capsys.readouterr().err
