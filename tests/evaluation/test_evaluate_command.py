"""`./aloha evaluate CHECKPOINT`: what it refuses, and that jobs change nothing but the time."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from aloha_stack import evaluate
from aloha_stack.evaluation.execution import Execution
from aloha_stack.evaluation.filming import film
from aloha_stack.evaluation.plan import Plan, check_spec, twin
from aloha_stack.evaluation.rollout import Outcome
from aloha_stack.policies.policy import NAMES, PolicyError
from aloha_stack.twin.renderer import RendererError
from policies import small_act


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_act.saved(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture
def nothing_rolls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Episodes that only say that they were asked for."""
    asked: list[Any] = []

    def outcomes(plans: Any, seeds: Any, jobs: int, *_: Any) -> Iterator[tuple[int, Outcome]]:
        asked.append((plans, list(seeds), jobs))
        for index, _ in enumerate(plans):
            for seed in reversed(seeds):
                yield index, Outcome(seed, seed % 2 == 0, 4, 100, inference_s=0.05)

    monkeypatch.setattr(evaluate, "outcomes", outcomes)
    return asked


def test_one_job_or_two_find_the_same(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "Plan", partial(Plan, ticks=200))  # half as long as usual
    found = []
    for jobs in (1, 2):
        file = tmp_path / f"{jobs}.json"
        words = [str(model), "--episodes", "2", "--query", "40", "--disturb", "all"]
        assert evaluate.main([*words, "--jobs", str(jobs), "--json", str(file)]) == 0
        found.append(json.loads(file.read_text()))
    for one in found:
        one.pop("seconds")
        one.pop("inference_ms")
    assert found[0] == found[1]
    assert found[0]["seeds"] == [1000, 1001]
    assert found[0]["holds"] >= 6, "chunks of five rows, one in 0.8 s"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task": "insertion"}, "trained on insertion, not on transfer_cube: --task insertion"),
        ({"robot": "stretch"}, "trained on robot 'stretch', this is 'twin'"),
        ({"cameras": ("cam_high", "cam_top")}, "needs cam_top; robot 'twin' has cam_high"),
        ({"rate_hz": 30.0}, "rate is 30 Hz; the player plays 50"),
        ({"chunk": 1}, "1 rows; 2 to 500 can be merged"),
        ({"chunk": 501}, "501 rows"),
        ({"state_names": (*NAMES, "left_waist_temperature")}, "left_waist_temperature, which nob"),
        ({"action_names": NAMES[::-1]}, "the robot's is left_waist"),
    ],
)
def test_a_policy_for_something_else_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check_spec(replace(small_act.SPEC, **change), "transfer_cube", twin())
    assert says in str(refused.value)


def test_a_policy_of_no_named_task_is_taken() -> None:
    check_spec(replace(small_act.SPEC, task=""), "insertion", twin())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{model}", "--task", "insertion"], "trained on transfer_cube, not on insertion"),
        (["{model}", "--ros", "--disturb", "push"], "--disturb does not go with --ros"),
        (["{model}", "--ros", "--inference", "2"], "--inference does not go with --ros"),
        (["{model}", "--real-inference"], "--real-inference go with --ros"),
        (["operator", "--ros", "--record", "x"], "--record is for policies"),
        (["{model}", "--inference", "4"], "chunks of 5 rows are over before they count, 4 ticks"),
        (["{model}", "--inference", "0"], "0 is outside 1"),
        (["{model}", "--query", "401"], "401 is more than an episode's 400 ticks"),
        (["{model}", "--ensemble-m", "nan"], "nan is outside -1"),
        (["{model}", "--execution", "best"], "invalid choice: 'best'"),
        (["{model}", "--disturb", "wind"], "invalid choice: 'wind'"),
        (["{model}", "--variation", "taught"], "transfer_cube has no variation 'taught'"),
        (["operator", "--task", "pick_place", "--variation", "F"], "no variation 'F'; where its"),
        (["{model}", "--device", "abacus"], "cannot be used on device 'abacus'"),
        (["{folder}"], "config.json: missing"),
        (["{pickled}"], "pickled files can run code"),
        (["operator", "--disturb"], "--disturb is for policies"),
        (["operator", "--task", "reach", "--perturb"], "--perturb is for policies"),
        (["{model}", "--perturb"], "transfer_cube has no goal that moves; reach has"),
        (["{model}", "--perturb", "--disturb"], "do not go together"),
        (["operator", "--video", "v.mp4"], "--video is for policies"),
        (["{model}", "--video", "nowhere/v.mp4"], "nowhere/v.mp4 cannot be written"),
    ],
)
def test_a_request_that_cannot_be_met_starts_nothing(
    words: list[str],
    says: str,
    model: Path,
    tmp_path: Path,
    nothing_rolls: list[Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pickled = tmp_path / "policy_best.ckpt"
    pickled.touch()
    places = {"{model}": model, "{folder}": tmp_path, "{pickled}": pickled}
    try:
        status: Any = evaluate.main([str(places.get(word, word)) for word in words])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert says in capsys.readouterr().err
    assert not nothing_rolls


def test_each_disturbance_is_evaluated_alone_and_then_all_together(
    model: Path, nothing_rolls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main([str(model), "--episodes", "3", "--seed", "998", "--disturb"]) == 0
    plans, seeds, jobs = nothing_rolls[0]
    together = ("push", "delay", "light", "noise")
    assert [plan.kinds for plan in plans] == [*((kind,) for kind in together), together]
    assert (seeds, jobs) == ([998, 999, 1000], 2)
    said = capsys.readouterr().out
    assert "seeds below 1000 are for training" in said
    for name in (*together, "all"):
        assert f"  {name}: 2 of 3 succeeded (67 %" in said
    assert "--inference 3 is its real place" in said, "50 ms"


def test_the_video_is_of_the_first_failure(
    model: Path, nothing_rolls: list[Any], tmp_path: Path
) -> None:
    words = [str(model), "--episodes", "4", "--disturb", "push"]
    assert evaluate.main([*words, "--video", str(tmp_path / "v.mp4")]) == 0
    (plan,), seeds, _ = nothing_rolls[1]
    assert (plan.kinds, seeds) == (("push",), [1001])


def test_a_video_shows_every_tick_of_all_cameras(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    plan = Plan(str(model), "transfer_cube", Execution(query=200), ticks=10)
    outcome = film(path, plan, 1000)
    assert outcome.seed == 1000
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.video[0]))
    assert [(frame.width, frame.height) for frame in frames] == [(640, 480)] * 10


def test_without_opengl_it_says_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def outcomes(*_: Any) -> Iterator[tuple[int, Outcome]]:
        raise RendererError("no off-screen OpenGL for MuJoCo; install EGL")

    monkeypatch.setattr(evaluate, "outcomes", outcomes)
    assert evaluate.main([str(model)]) == 1
    assert "install EGL" in capsys.readouterr().out
