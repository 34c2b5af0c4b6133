"""`./aloha train`: what it refuses, by name; what a signal leaves; several processes as one."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
import yaml

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.policies.checkpoint import load
from aloha_stack.training import cli
from aloha_stack.training.errors import TrainingError
from training.tiny_training import TINY, last, one_thread, resumed, stopping_after, tiny, train
from training.training_episodes import write


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    for number in range(3):
        write(folder, number=number, size=(24, 32))
    return folder


@pytest.fixture(scope="module")
def begun(episodes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was stopped in its second step. Not to be changed."""
    out = tmp_path_factory.mktemp("begun") / "out"
    train(tiny(episodes, out), stop=stopping_after(2))
    return out


def test_a_folder_that_holds_something_is_refused(episodes: Path, begun: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in begun.rglob("*")}
    with pytest.raises(TrainingError, match=r"exists already; give another --out, or --resume"):
        train(tiny(episodes, begun))
    assert before == {file: file.stat().st_mtime_ns for file in begun.rglob("*")}


def test_resuming_needs_a_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no training to go on with"):
        train(resumed(tmp_path))


def test_a_training_goes_on_with_its_own_network_and_episodes(begun: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="goes on with the network that it began with"):
        train(resumed(begun, changes={"network.hidden": 32}))
    with pytest.raises(TrainingError, match=r"2 steps are done already, and training\.steps is 1"):
        train(resumed(begun, changes={"training.steps": 1}))
    for number in range(3):
        write(tmp_path / "others", number=number + 7, size=(24, 32))
    request = replace(resumed(begun), data=(tmp_path / "others",))
    with pytest.raises(TrainingError, match="the episodes are not those"):
        train(request)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data[: len(data) // 2], "truncated or damaged"),
        (lambda data: b"", "truncated or damaged"),
        (lambda data: data.replace(b"exp_avg_sq", b"exp_avg_xx"), "does not fit the network"),
        (lambda data: data.replace(b"average/", b"averagx/"), "without an average of weights"),
    ],
)
def test_what_was_saved_and_is_damaged_is_refused_by_name(
    begun: Path, tmp_path: Path, change: Callable[[bytes], bytes], told: str
) -> None:
    out = tmp_path / "out"
    (out / "run").mkdir(parents=True)
    for name in ("run.json", "last.safetensors"):
        (out / "run" / name).write_bytes((begun / "run" / name).read_bytes())
    file = out / "run/last.safetensors"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(TrainingError, match=told):
        train(resumed(out))


def test_seeds_for_evaluation_are_never_trained_with(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path, number=number, size=(24, 32))
    _note(tmp_path / "episode_000001", seed=1000)
    with pytest.raises(TrainingError, match=r"evaluation.*episode_000001 \(1000\)"):
        train(tiny(tmp_path, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_failures_are_left_out_and_the_card_says_so(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "episodes", number=number, size=(24, 32))
    _note(tmp_path / "episodes/episode_000002", outcome="failure")
    train(tiny(tmp_path / "episodes", tmp_path / "out"), stop=stopping_after(1))
    train(resumed(tmp_path / "out", changes={"training.steps": 2}))
    card = (tmp_path / "out/CARD.md").read_text()
    assert "| data | 1 episodes" in card
    assert "1 to validate with; 1 left out as failures |" in card


def test_cameras_that_are_not_there_are_refused(episodes: Path, tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="has no camera cam_left_wrist"):
        train(tiny(episodes, tmp_path / "out", changes={"data.cameras": "[cam_left_wrist]"}))
    assert not (tmp_path / "out").exists()


def test_ctrl_c_leaves_what_it_takes_to_go_on(
    episodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    changes = {**TINY, "training.steps": 100_000, "training.validate_every": 2}
    words = ["act", "--data", str(episodes), "--out", str(out)]
    words += [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]

    def press() -> None:
        while not (out / "config.json").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    hand = threading.Thread(target=press)
    before = signal.getsignal(signal.SIGINT)
    hand.start()
    with one_thread():
        assert cli.main(words) == 130
    hand.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert f"go on: ./aloha train act --out {out} --resume" in capsys.readouterr().out
    load(out)
    steps = _step(out)
    assert (
        cli.main(["act", "--out", str(out), "--resume", "--set", f"training.steps={steps + 2}"])
        == 0
    )
    assert _step(out) == steps + 2


def test_workers_end_well(episodes: Path, tmp_path: Path) -> None:
    workers: dict[int, BaseProcess] = {}

    def stop() -> bool:
        workers.update({child.ident or 0: child for child in multiprocessing.active_children()})
        return len(workers) >= 2

    train(replace(tiny(episodes, tmp_path / "out"), workers=2), stop=stop)
    assert [worker.exitcode for worker in workers.values()] == [0, 0]


def test_two_processes_train_as_one_would(episodes: Path, tmp_path: Path) -> None:
    changes = {"training.precision": "fp32", "augmentation.noise": 3.0, "training.steps": 4}
    train(tiny(episodes, tmp_path / "one", changes=changes))
    words = ["act", "--data", str(episodes), "--out", str(tmp_path / "two"), "--device", "cpu"]
    for key, value in {**TINY, **changes}.items():
        words += ["--set", f"{key}={value}"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node", "2", "-m", "aloha_stack.training.cli"]
    done = subprocess.run([*launcher, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one, two = last(tmp_path / "one"), last(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=2e-5, msg=name)
    losses = [
        [(row["train"], row["loss"]) for row in _state(tmp_path / name)["validations"]]
        for name in ("one", "two")
    ]
    torch.testing.assert_close(*map(torch.tensor, losses), rtol=1e-4, atol=1e-5)


def test_a_batch_that_processes_cannot_share_is_refused() -> None:
    from aloha_stack.training.processes import Processes

    with pytest.raises(TrainingError, match="9 samples cannot be shared by 2 processes"):
        Processes(rank=0, count=2).share(9)


def test_requests_that_make_no_sense_end_with_status_2(tmp_path: Path) -> None:
    for words in (
        ["act", "--out", str(tmp_path)],
        ["act", "--out", str(tmp_path), "--resume", "--seed", "1"],
        ["dance", "--data", "x", "--out", str(tmp_path)],
        ["act", "--data", "x", "--out", str(tmp_path), "--minutes", "0"],
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2


def test_trouble_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["act", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert cli.main(words) == 1
    told = capsys.readouterr().err
    assert told.startswith("aloha train: ")
    assert len(told.splitlines()) == 1


def _note(episode: Path, **data: object) -> None:
    """Other words in an episode's metadata."""
    file = episode / "metadata.yaml"
    document = yaml.safe_load(file.read_text())
    custom = document["rosbag2_bagfile_information"]["custom_data"]
    custom.update({key: str(value) for key, value in data.items()})
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def _state(out: Path) -> dict:
    from safetensors import safe_open

    with safe_open(out / "run/last.safetensors", "pt") as opened:
        return json.loads(opened.metadata()["state"])


def _step(out: Path) -> int:
    return int(_state(out)["step"])
