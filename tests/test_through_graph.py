"""Episodes through the whole graph, with a graph that is stood in for: nothing is left out."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aloha_stack import demo, evaluate, through_graph
from aloha_stack.demo import NONE_SHIPPED, Replayed, RolledOut, find_problems
from aloha_stack.episodes.metadata import EpisodeInfo, read_metadata
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.graph import GraphFailed
from aloha_stack.policies.checkpoint import CheckpointError
from aloha_stack.progress import Progress
from policies import small_act

Script = Callable[[int], dict[str, Any]]


def event(seed: int, **changes: Any) -> dict[str, Any]:
    """An episode's, as a session tells it."""
    return {
        "event": "episode",
        "seed": seed,
        "success": True,
        "reward": 4,
        "ticks": 200,
        "message": "",
        "path": "",
        "commands": 420,
        "gaps": 0,
        "jumps": 0,
        "longest_s": 0.025,
        "holds": 0,
        "refused": 0,
        "overruns": 0,
        "real_time_factor": 0.4,
        "held_s": 0.1,
        "inference_s": [0.03, 0.05],
        "delay_s": [0.04],
        **changes,
    }


class Asked:
    """The graphs that were started, with what their sessions were asked for."""

    def __init__(self, script: Script, fails_at_the_end: bool = False) -> None:
        self.arguments: list[dict[str, str]] = []
        self.words: list[tuple[str, ...]] = []
        self._script, self._fails_at_the_end = script, fails_at_the_end

    def __call__(self, launch_file: str, arguments: dict[str, str], log: Path) -> "Asked":
        self.arguments.append({**arguments, "launch_file": launch_file})
        return self

    def __enter__(self) -> "Asked":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._fails_at_the_end and kind is None:
            raise GraphFailed("the graph ended with status 1.\n  | the tail of its log")

    def session(self, *words: str) -> Iterator[dict[str, Any]]:
        self.words.append(words)
        yield {"event": "waiting", "what": "the twin"}
        for seed in map(int, words[words.index("--seeds") + 1 :]):
            yield {
                "event": "progress",
                "seed": seed,
                "reward": 0,
                "elapsed": 1.0,
                "real_time_factor": 0.4,
            }
            yield self._script(seed)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_act.saved(tmp_path_factory.mktemp("models") / "small")


def graphs(monkeypatch: pytest.MonkeyPatch, script: Script, **given: Any) -> Asked:
    asked = Asked(script, **given)
    monkeypatch.setattr(through_graph, "Graph", asked)
    return asked


def evaluated(model: Path, tmp_path: Path, *words: str) -> dict[str, Any]:
    file = tmp_path / "ros.json"
    assert evaluate.main([str(model), "--ros", "--json", str(file), *words]) == 0
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_one_graph_serves_all_episodes_and_only_the_policys_cameras_are_rendered(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = graphs(monkeypatch, event)
    found = evaluated(model, tmp_path, "--episodes", "3", "--query", "5")
    (arguments,), (words,) = asked.arguments, asked.words
    assert words[words.index("--seeds") + 1 :] == ("1000", "1001", "1002")
    assert words[words.index("--checkpoint") + 1] == str(model)
    assert arguments["launch_file"] == "rollout"
    assert arguments["camera_names"] == "cam_high,cam_low"
    assert (arguments["policy_rate"], arguments["record_cameras"]) == ("10.0", "false")
    assert (found["successes"], found["rate"]) == (3, 1.0)
    assert found["interval"][0] == pytest.approx(0.44, abs=0.01)
    assert "inference" not in found["execution"]
    assert found["ros"]["inference_ms"]["p99"] == pytest.approx(50.0)
    graphs(monkeypatch, event)
    words_again = ("--episodes", "1", "--all-cameras", "--record", str(tmp_path / "kept"))
    assert evaluated(model, tmp_path, *words_again)["successes"] == 1


def test_a_variation_reaches_the_world_and_is_noted_in_what_is_recorded(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = EpisodeWriter(tmp_path, [], EpisodeInfo()).finish("success")
    asked = graphs(monkeypatch, lambda seed: event(seed, path=str(path)))
    words = ("--episodes", "1", "--variation", "light,background", "--record", str(tmp_path))
    assert evaluated(model, tmp_path, *words)["variation"] == "background,light"
    assert asked.arguments[0]["variation"] == "light,background"
    assert read_metadata(path)["custom_data"]["variation"] == "background,light"


def test_what_failed_is_told_with_its_reason(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes: dict[int, dict[str, Any]] = {
        1000: {"success": False, "reward": 2, "ticks": 0, "holds": 3},
        1001: {"success": False, "reward": 0, "ticks": 0, "message": "e-stop: button"},
        1002: {"gaps": 2, "jumps": 1},
    }
    graphs(monkeypatch, lambda seed: event(seed, **changes.get(seed, {})))
    found = evaluated(model, tmp_path, "--episodes", "4")
    assert (found["successes"], found["holds"]) == (2, 3)
    assert found["ros"]["failures"] == {
        "time was over at reward 2": [1000],
        "e-stop: button": [1001],
    }
    assert (found["ros"]["gaps"], found["ros"]["jumps"]) == (2, 1)
    assert found["per_episode"][2]["gaps"] == 2
    said = capsys.readouterr().out
    assert "failed 1 times: e-stop: button (seeds 1001)" in said
    assert "3 holds, 0.4 s held in all" in said
    assert "seed 1000: reward 2, FAILURE (held 3 times)" in said
    assert "1680 commands to each arm: 2 gaps, 1 jumps, 25 ms from one to the next" in said


def test_an_episode_in_which_the_graph_dies_is_a_failure_and_the_next_has_a_new_one(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(seed: int) -> dict[str, Any]:
        if seed == 1001:
            raise GraphFailed("the camera died\n  | its log")
        return event(seed)

    asked = graphs(monkeypatch, script)
    found = evaluated(model, tmp_path, "--episodes", "4")
    assert [words[words.index("--seeds") + 1 :] for words in asked.words] == [
        ("1000", "1001", "1002", "1003"),
        ("1002", "1003"),
    ]
    assert (found["episodes"], found["successes"]) == (4, 3)
    assert found["ros"]["failures"] == {"the graph failed: the camera died": [1001]}
    assert found["ros"]["faults"] == ["the camera died"]


def test_graphs_that_never_get_anywhere_are_not_tried_for_ever(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(seed: int) -> dict[str, Any]:
        raise GraphFailed("no twin")

    asked = graphs(monkeypatch, script)
    assert evaluate.main([str(model), "--ros", "--episodes", "9"]) == 1
    assert len(asked.words) == 2
    assert "no twin" in capsys.readouterr().out


def test_what_was_found_before_the_graphs_failed_is_reported(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(seed: int) -> dict[str, Any]:
        if seed > 1000:
            raise GraphFailed("no memory")
        return event(seed)

    graphs(monkeypatch, script)
    file = tmp_path / "ros.json"
    words = [str(model), "--ros", "--episodes", "9", "--json", str(file)]
    assert evaluate.main(words) == 1
    found = json.loads(file.read_text())
    assert (found["episodes"], found["successes"]) == (3, 1)
    assert found["ros"]["faults"] == ["no memory"] * 3


def test_a_graph_that_does_not_park_well_takes_no_result_away(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs(monkeypatch, event, fails_at_the_end=True)
    found = evaluated(model, tmp_path, "--episodes", "2")
    assert found["successes"] == 2
    assert found["ros"]["faults"] == ["the graph ended with status 1."]


# -- the demo's rollout ---------------------------------------------------------------------


def test_the_demo_rolls_out_the_first_checkpoint_for_the_task_until_it_succeeds(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = graphs(monkeypatch, lambda seed: event(seed, success=seed > 1000, path=f"e{seed}"))
    rolled = demo.roll_out(tmp_path, "transfer_cube", Progress(), model.parent)
    assert rolled is not None
    assert (rolled.model, rolled.success) == ("small", True)
    assert rolled.paths == (Path("e1000"), Path("e1001"))
    assert asked.arguments[0]["record_cameras"] == "true"
    asked = graphs(monkeypatch, event)
    rolled = demo.roll_out(tmp_path, "transfer_cube", Progress(), model.parent)
    assert rolled is not None
    assert len(rolled.paths) == 0
    assert any("1 " not in line and "0 gaps, 0 jumps" in line for line in rolled.words)


def test_the_demo_says_plainly_that_no_checkpoint_is_shipped(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, task in ((model.parent, "insertion"), (tmp_path, "transfer_cube")):
        assert demo.roll_out(tmp_path, task, Progress(), folder) is None
        assert NONE_SHIPPED in capsys.readouterr().out
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/config.json").write_text("{")
    with pytest.raises(CheckpointError, match="broken"):
        demo.shipped("transfer_cube", tmp_path)


def test_a_policy_that_fails_or_jumps_fails_the_demo() -> None:
    replayed = Replayed(0, 4, True)
    assert not find_problems([], replayed, RolledOut("act", True, 4))
    problems = find_problems([], replayed, RolledOut("act", False, 2, jumps=3))
    assert problems == ["act reached reward 2 only", "the commands of act jumped 3 times"]
