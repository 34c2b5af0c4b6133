"""The inference bench: all networks have the same weights and take turns; what is missing is told.

With ALOHA_PEERS=PYTHON, one that has lerobot 0.4.4, its ACT is compared with ours, too.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aloha_stack.bench import inference, inference_subjects
from aloha_stack.bench.foreign import PEERS, ForeignError, ForeignProgram
from aloha_stack.bench.inference import main, measured
from aloha_stack.bench.inference_peer import LeRobotAct, lerobot_config, lerobot_weights
from aloha_stack.bench.inference_subjects import Subject, of_model
from aloha_stack.bench.synthetic_episode import synthetic_episode
from aloha_stack.cameras.jpeg import encode
from aloha_stack.policies.act_config import ActConfig
from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.fast_bytes import multiplies_bytes
from aloha_stack.policies.key_maps import LEROBOT, renamed
from aloha_stack.policies.options import EAGER, FAST, INT8
from aloha_stack.policies.policy import PolicyError
from aloha_stack.progress import Progress
from policies import small_act
from policies.policy_conformance import seen

RESNET = replace(small_act.CONFIG, backbone="resnet18")
COUNTING = """
print("ready counter", flush=True)
import sys
for line in sys.stdin:
    if line.strip() == "end":
        raise SystemExit("had enough")
    print(len(line.strip()), flush=True)
"""


def small_subject(config: ActConfig = RESNET) -> Subject:
    plain = small_act.policy(config)
    parts = (plain.spec, plain.network, plain.state, plain.action)
    faster = {name: ActPolicy(*parts, backend=name) for name in (FAST, INT8)}
    return Subject("small", {EAGER: plain, **faster}, [seen(plain, number) for number in range(3)])


def test_weights_under_lerobots_names_are_ours_again_by_the_key_map() -> None:
    weights = small_act.network(RESNET).state_dict()
    again = renamed(lerobot_weights(weights, RESNET), LEROBOT)
    assert set(again) == set(weights)
    assert all(torch.equal(again[name], value) for name, value in weights.items())


def test_where_one_decoder_layer_is_used_lerobot_gets_one() -> None:
    config = replace(RESNET, first_layer_only=True)
    weights = lerobot_weights(small_act.network(config).state_dict(), config)
    assert lerobot_config(config)["n_decoder_layers"] == 1
    assert lerobot_config(RESNET)["n_decoder_layers"] == 3
    layers = {name.split(".")[3] for name in weights if name.startswith("model.decoder.layers.")}
    assert layers == {"0"}


@pytest.mark.parametrize(
    "config",
    [small_act.CONFIG, replace(RESNET, camera_embedding=True), replace(RESNET, crop=(0, 0, 8, 8))],
)
def test_a_network_that_lerobot_cannot_be_is_told(config: ActConfig) -> None:
    with pytest.raises(PolicyError, match=r"has no such (backbone|camera_embedding|crop)"):
        lerobot_config(config)


def test_all_take_turns_and_the_median_counts_without_the_first_rounds() -> None:
    turns = []

    def contender(name: str, seconds: list[float]) -> Callable[[int], float]:
        def took(number: int) -> float:
            turns.append((name, number))
            return seconds.pop(0)

        return took

    one, other = [9.0, 9.0, 0.3, 0.1, 0.2, 0.9, 0.25], [9.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    contenders = {"one": contender("one", one), "other": contender("other", other)}
    took = measured(contenders, small_subject(), 5, Progress())
    assert took == {"one": 250.0, "other": 1000.0}
    assert [name for name, _ in turns] == ["one", "other"] * 7
    assert {number for _, number in turns} == {0, 1, 2}


def test_without_lerobot_the_plain_network_is_the_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(PEERS, raising=False)
    monkeypatch.setattr(inference_subjects, "full_size", lambda data: small_subject())
    monkeypatch.setattr(inference_subjects, "small_recipe", lambda: small_subject())
    file = tmp_path / "figures.json"
    threads = torch.get_num_threads()
    try:
        main(["--rounds", "1", "--threads", "1", "--json", str(file)])
    finally:
        torch.set_num_threads(threads)
    assert f"{PEERS} is not set" in capsys.readouterr().out
    rows = json.loads(file.read_text())["rows"]
    assert [row["peer"] for row in rows if row["unit"] == "ms"] == [inference.PLAIN] * 4
    assert [row["holds"] for row in rows if row["unit"] == "rad"] == [True] * 4
    assert all(0 < row["value"] < 0.01 for row in rows if row["unit"] == "rad")


def test_a_checkpoint_and_its_observations_come_from_files(tmp_path: Path) -> None:
    model = small_act.saved(tmp_path / "model")
    noise = np.random.default_rng(0)
    pictures = [encode(noise.integers(0, 255, (32, 48, 3), np.uint8), 90) for _ in range(8)]
    episode = synthetic_episode(tmp_path / "episodes", pictures, 1.2)
    subject = of_model(model, [episode])
    assert subject.policy.spec == small_act.SPEC
    assert subject.actions(FAST).shape == (inference_subjects.OBSERVATIONS, 5, 14)
    assert subject.faster == ((FAST, INT8) if multiplies_bytes(torch.device("cpu")) else (FAST,))
    states = [tuple(one.state) for one in subject.observations]
    assert len(set(states)) == len(states)


def test_a_checkpoint_that_is_none_is_a_fault_of_the_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", str(tmp_path / "none")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_a_program_of_another_python_answers_line_by_line_and_tells_why_it_ended(
    tmp_path: Path,
) -> None:
    script = tmp_path / "counting.py"
    script.write_text(COUNTING)
    with ForeignProgram(Path(sys.executable), str(script)) as program:
        assert program.name == "counter"
        assert program.ask("four") == "4"
        with pytest.raises(ForeignError, match="had enough"):
            program.ask("end")
    with pytest.raises(ForeignError, match="cannot be started: No such file"):
        ForeignProgram(tmp_path / "python", str(script))


if os.environ.get(PEERS):

    @pytest.mark.parametrize("change", [{}, {"first_layer_only": True}, {"pre_norm": True}])
    def test_lerobots_act_gives_the_same_actions(change: dict[str, bool], tmp_path: Path) -> None:
        subject = small_subject(replace(RESNET, **change))
        python = Path(os.environ[PEERS])
        with LeRobotAct(python, tmp_path, subject.policy, subject.observations, 1) as lerobot:
            assert lerobot.seconds(1) > 0
            np.testing.assert_allclose(lerobot.actions, subject.actions(), atol=1e-5)
