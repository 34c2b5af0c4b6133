"""The training bench: both sides learn in turns, from the same pictures and the same weights.

With ALOHA_PEERS=PYTHON, one that has lerobot 0.4.4, its ACT learns beside ours, too.
"""

import json
import os
from pathlib import Path

import pytest
import torch

from aloha_stack.bench import training_subject
from aloha_stack.bench.foreign import PEERS
from aloha_stack.bench.training import Turns, main, measured
from aloha_stack.bench.training_peer import LeRobotTraining
from aloha_stack.bench.training_subject import Size, Subject
from aloha_stack.progress import Progress
from training.tiny_training import one_thread

SMALL = (
    "network.hidden=16",
    "network.heads=2",
    "network.feedforward=16",
    "network.encoder_layers=1",
    "network.cvae_layers=1",
    "network.chunk=8",
)
SIZE = Size(cameras=2, picture=(48, 64), batch=2, decoder_layers=2, changes=SMALL)


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    monkeypatch.setattr(training_subject, "EPISODE_S", 1.2)
    monkeypatch.setattr(training_subject, "WORKERS", 0)
    with one_thread():
        return Subject(SIZE, tmp_path)


def test_sides_take_turns_and_the_first_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    asked = []

    def other(number: int) -> float:
        nonlocal now
        now += 100.0  # time that is not ours
        asked.append(number)
        return 2.0

    turns = Turns(steps=2, rounds=2, other=other, show=lambda part: None, began_s=now)
    ended = []
    for seconds in (9.0, 9.0, 0.5, 0.5, 1.0, 2.0):
        now += seconds
        ended.append(turns())
    assert ended == [False] * 5 + [True]
    assert (turns.ours, turns.theirs) == ([18.0, 1.0, 3.0], [4.0, 4.0, 4.0])
    assert asked == [0, 1] * 3
    assert turns.samples_per_second(turns.ours, batch=8) == 2 * 8 / 2.0
    assert turns.samples_per_second([], batch=8) is None


def test_our_side_is_the_training_loop_with_its_loader(subject: Subject) -> None:
    before = {name: one.detach().clone() for name, one in subject.trainer.parameters.items()}
    with one_thread():
        rows = measured(subject, SIZE, None, 1, 2, Progress())
    moved = [n for n, one in subject.trainer.parameters.items() if not torch.equal(one, before[n])]
    assert subject.trainer.place.step == 4
    assert {name.split(".")[0] for name in moved} >= {"backbone", "encoder", "latent_encoder"}
    assert rows[0].value is not None
    assert rows[0].value > 0
    assert rows[0].peer is None


def test_a_peers_batches_are_different_steps_of_the_same_episodes(subject: Subject) -> None:
    found = [torch.stack((one["episode"], one["step"]), dim=1) for one in subject.batches]
    steps = set(map(tuple, torch.cat(found).tolist()))
    assert len(steps) == len(subject.batches) * SIZE.batch
    assert subject.batches[0]["images"].shape == (2, 2, 48, 64, 3)


def test_without_lerobot_only_ours_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(PEERS, raising=False)
    monkeypatch.setattr(training_subject, "EPISODE_S", 1.2)
    monkeypatch.setattr(training_subject, "WORKERS", 0)
    monkeypatch.setattr("aloha_stack.bench.training_subject.Size", lambda *_: SIZE)
    file = tmp_path / "figures.json"
    with one_thread():
        options = ["--rounds", "1", "--steps", "1", "--threads", "1", "--json", str(file)]
        assert main([*options, "--folder", str(tmp_path)]) == 0
    assert f"{PEERS} is not set" in capsys.readouterr().out
    (row, waiting) = json.loads(file.read_text())["rows"]
    assert (row["peer"], row["holds"]) == (None, None)
    assert 0 <= waiting["value"] <= 100
    assert [one.name for one in tmp_path.iterdir()] == ["figures.json"]


@pytest.mark.parametrize("words", [["--picture", "640"], ["--picture", "9x9"], ["--batch", "0"]])
def test_a_request_that_cannot_be_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)


if os.environ.get(PEERS):

    def test_lerobots_act_begins_with_the_same_loss_and_learns(
        subject: Subject, tmp_path: Path
    ) -> None:
        python = Path(os.environ[PEERS])
        with (
            one_thread(),
            LeRobotTraining(python, tmp_path, subject.objective, subject.batches, 1) as lerobot,
        ):
            assert lerobot.loss == pytest.approx(subject.loss(), abs=0.01)
            rows = measured(subject, SIZE, lerobot, 1, 1, Progress())
        assert rows[0].peer == "lerobot 0.4.4, float32"
        assert rows[0].ratio is not None
        assert rows[2].holds
