"""`./aloha experiment each-layer` and `untaught`: from data to report, killed anywhere, and on."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aloha_stack.evaluation.plan import Plan
from aloha_stack.evaluation.rollout import Outcome
from aloha_stack.experiments import __main__ as experiments
from aloha_stack.experiments import (
    each_layer_runs,
    pick_place_data,
    pick_place_models,
    pick_place_trials,
    untaught_runs,
)
from aloha_stack.experiments.pick_place_words import compared, counted
from aloha_stack.training import cli
from analyses.recurrent_checkpoints import episodes

TINY = ("data.image_size=[32, 32]", "data.crop=null", "data.validation=0.34")
TINY += ("data.step_hz=50", "training.batch=1", "training.validation_samples=1")


TRAIN = cli.main


class Bench:
    """What the experiments call, counted: trainings are real but tiny, trials are told."""

    def __init__(self, data: Path, other: Path) -> None:
        self.data, self.other = data, other
        self.trained: list[str] = []
        self.tried: list[tuple[str, int]] = []
        self.dies_after = 10**6  # trials

    def demonstrations(self, name: str, *_: Any, **__: Any) -> "There":
        return There(self.other if name.startswith("untaught") else self.data)

    def train(self, words: Sequence[str]) -> int:
        out = Path(words[words.index("--out") + 1])
        self.trained.append(out.parent.name)
        return TRAIN([*words, *(word for change in TINY for word in ("--set", change))])

    def outcomes(
        self, plans: Sequence[Plan], seeds: Sequence[int], jobs: int
    ) -> Iterator[tuple[int, Outcome]]:
        for seed in seeds:
            if not self.dies_after:
                raise KeyboardInterrupt
            self.dies_after -= 1
            self.tried.append((plans[0].variation, seed))
            yield 0, Outcome(seed, seed % 2 == 0, 4, 100)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(episodes(tmp_path / "data", 3), episodes(tmp_path / "other", 1))
    monkeypatch.setattr(pick_place_models.cli, "main", made.train)
    monkeypatch.setattr(pick_place_trials, "outcomes", made.outcomes)
    monkeypatch.setattr(Plan, "check", lambda plan: None)  # these episodes are of another task
    for runs in (each_layer_runs, untaught_runs):
        monkeypatch.setattr(runs, "Demonstrations", made.demonstrations)
    tiny = ("network.hidden=6", "network.points=3")
    monkeypatch.setattr(each_layer_runs, "ENCODERS", {"spatial softmax": tiny})
    return made


@dataclass(frozen=True)
class There:
    """Demonstrations that need not be made."""

    folder: Path

    def made(self, work: Path, jobs: int) -> Path:
        return self.folder


def run(name: str, folder: Path, *words: str) -> int:
    budget = ["--steps-per-model", "2", "--trials", "3", "--demonstrations", "3"]
    places = ["--work", str(folder / "work"), "--out", str(folder / "out")]
    return experiments.main([name, *budget, *places, *words])


def raw(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / f"out/{name}.json").read_text())["policies"]
    return found


def test_each_layer_counts_every_policy_and_tells_how_much_it_sees(
    bench: Bench, tmp_path: Path
) -> None:
    assert run("each-layer", tmp_path, "--rates", "50") == 0
    found = raw(tmp_path, "each-layer")
    assert [one["kind"] for one in found] == ["conventional", "wider", "each-layer"]
    assert [one["successes"] for one in found] == [2, 2, 2]
    assert [one["trials"] for one in found] == [3, 3, 3]
    assert all(one["feature_to_joints"] > 0 for one in found)
    text = (tmp_path / "out/each-layer.md").read_text()
    assert "2/3, 66.7 %" in text
    assert "every policy was trained" in text
    assert (tmp_path / "out/each-layer.png").stat().st_size > 1000


def test_nothing_that_is_there_is_made_again(bench: Bench, tmp_path: Path) -> None:
    bench.dies_after = 4
    with pytest.raises(KeyboardInterrupt):  # in the second policy's trials
        run("each-layer", tmp_path, "--rates", "50")
    assert run("each-layer", tmp_path, "--rates", "50", "--report-only") == 0
    text = (tmp_path / "out/each-layer.md").read_text()
    assert "not trained: spatial_softmax_each-layer_50hz_0" in text
    assert "spatial_softmax_wider_50hz_0: 2 of 3 trials" in text
    file = tmp_path / "work/models/spatial_softmax_wider_50hz_0/range.jsonl"
    file.write_text(file.read_text() + '{"seed": 10')  # cut off as it was written
    bench.dies_after = 100
    assert run("each-layer", tmp_path, "--rates", "50") == 0
    assert len(bench.trained) == len(set(bench.trained)) == 3
    assert [seed for _, seed in bench.tried] == [1000, 1001, 1002] * 3
    assert run("each-layer", tmp_path, "--rates", "50", "--trials", "4") == 0  # one more of each
    assert len(bench.tried) == 12
    assert len(bench.trained) == 3


def test_a_training_that_was_interrupted_goes_on(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(words: Sequence[str]) -> int:
        assert bench.train(words) == 0
        return 143

    monkeypatch.setattr(pick_place_models.cli, "main", stopped)
    assert run("each-layer", tmp_path, "--rates", "50") == 143
    monkeypatch.setattr(pick_place_models.cli, "main", bench.train)
    assert run("each-layer", tmp_path, "--rates", "50") == 0
    assert len(bench.trained) == 4  # the first one twice


def test_untaught_measures_each_condition_and_draws_memories(bench: Bench, tmp_path: Path) -> None:
    assert run("untaught", tmp_path, "--models", "cae_rnn,cnnrnn") == 0
    assert bench.trained == ["cnnrnn_0", "cae_0", "cae_rnn_0"]
    found = raw(tmp_path, "untaught")
    assert [one["policy"] for one in found] == ["CNNRNN", "CAE-RNN"]
    conditions = found[1]["conditions"]
    assert list(conditions) == ["taught", "untaught", "taught,background", "untaught,background"]
    assert all(one["successes"] == 2 and one["rms_to_command"] > 0 for one in conditions.values())
    assert conditions["untaught"]["by_point"] == {"B": [2, 2], "D": [0, 1]}
    text = (tmp_path / "out/untaught.md").read_text()
    assert all((tmp_path / "out" / name).exists() for name in ("untaught_cae_rnn.png",))
    assert "| CNNRNN | 2/3, 66.7 %" in text
    assert "| CNNRNN | 1/1; 1/1 | 2/2; 2/2 | 1/1; 1/1 | 0/1; 0/1 | 0/1; 0/1 |" in text


def test_a_folder_of_another_budget_and_unknown_words_are_refused(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/plan.json").write_text('{"steps": 7, "demonstrations": 3}')
    assert run("each-layer", tmp_path) == 1
    assert "another --work" in capsys.readouterr().err
    for words in (("each-layer", "--rates", "20"), ("untaught", "--models", "act")):
        with pytest.raises(SystemExit) as ended:
            experiments.main(list(words))
        assert ended.value.code == 2


def test_demonstrations_to_learn_from_are_of_other_worlds_than_those_to_measure_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(pick_place_data.generating, "main", lambda w: asked.append(w) or 0)
    pick_place_data.Demonstrations("a", "taught", 5, learnt_from=True).made(tmp_path, 1)
    pick_place_data.Demonstrations("b", "taught", 5).made(tmp_path, 1)
    assert [words[words.index("--seed") + 1] for words in asked] == ["100", "0"]


def test_counts_come_with_what_may_be_said_of_them() -> None:
    assert counted(52, 55) == "52/55, 94.5 % (85 … 98)"
    assert counted(0, 0) == "not run"
    assert compared((52, 55), (13, 55)) == "+70.9 points, intervals apart"
    assert compared((3, 5), (2, 5)) == "+20.0 points, intervals overlap"
