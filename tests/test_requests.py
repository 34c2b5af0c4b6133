"""What the commands say to requests that cannot be met: status 2, and nothing is started."""

import json

import pytest

from aloha_stack import demo, evaluate, through_graph
from aloha_stack.demo import Replayed, find_problems
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.summary import damaged


@pytest.fixture(autouse=True)
def nothing_may_start(monkeypatch):
    def refuse(*_):
        raise AssertionError("a graph was started")

    monkeypatch.setattr(demo, "Graph", refuse)
    monkeypatch.setattr(through_graph, "Graph", refuse)


@pytest.mark.parametrize(
    ("command", "argv", "words"),
    [
        (demo.main, ["--task", "juggling"], "invalid choice: 'juggling'"),
        (demo.main, ["--seed", "-1"], "-1 is outside 0"),
        (demo.main, ["--episodes", "0"], "0 is outside 1"),
        (demo.main, ["--out", "{file}"], "cannot write into"),
        (evaluate.main, ["oprator"], "no model 'oprator'; there is operator, or the folder"),
        (evaluate.main, ["operator", "--task", "juggling"], "invalid choice: 'juggling'"),
        (evaluate.main, ["operator", "--episodes", "many"], "'many' is no whole number"),
        (evaluate.main, ["operator", "--json", "{file}/x.json"], "cannot be written"),
    ],
)
def test_impossible_requests_are_refused_by_name(command, argv, words, tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    argv = [piece.replace("{file}", str(file)) for piece in argv]
    try:
        status = command(argv)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert words in capsys.readouterr().err


def test_evaluation_without_ros_reports_each_seed(tmp_path):
    report = tmp_path / "report.json"
    assert (
        evaluate.main(["operator", "--episodes", "2", "--seed", "40", "--json", str(report)]) == 0
    )
    figures = json.loads(report.read_text())
    assert figures["seeds"] == [40, 41]
    assert figures["successes"] == sum(row["success"] for row in figures["per_episode"]) == 2
    assert all(row["reward"] == 4 and 0 < row["ticks"] <= 400 for row in figures["per_episode"])


def test_a_demo_with_a_bad_episode_or_replay_has_failed():
    broken = damaged("episodes/episode_000003", EpisodeError("it breaks off"))
    problems = find_problems([broken], Replayed(seed=0, reward=2, success=False))
    assert any("episode_000003 reached reward None" in problem for problem in problems)
    assert any("it breaks off" in problem for problem in problems)
    assert any("replay reached reward 2 only" in problem for problem in problems)
