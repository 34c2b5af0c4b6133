"""The bench of recurrent policies: what is measured, of which networks, on how many cores."""

import json
from pathlib import Path

import pytest
import torch

from aloha_stack.bench import inference, inference_recurrent
from aloha_stack.bench.inference import main
from aloha_stack.cameras.jpeg import encode_rgb
from aloha_stack.policies.checkpoint import save
from aloha_stack.policies.recurrent_networks import NETWORKS, config_of
from policies import small_recurrent as small
from policies.policy_conformance import seen


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference_recurrent, "TICKS_A_ROUND", 3)
    monkeypatch.setattr(inference_recurrent, "WARM_UP", 1)
    monkeypatch.setattr(inference_recurrent, "PICTURES", 2)


def test_a_tick_is_measured_with_and_without_the_picture_on_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"CNNRNN": {"image_size": (32, 32)}}
    monkeypatch.setattr(inference_recurrent, "PUBLISHED", {"cnnrnn": sizes})
    file = tmp_path / "figures.json"
    threads = torch.get_num_threads()
    try:
        main(["--policy", "cnnrnn", "--rounds", "1", "--json", str(file)])
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    found = json.loads(file.read_text())
    assert found["machine"]["threads"] == 1
    assert [row["bar"] for row in found["rows"]] == ["value <= 4", None]
    assert [row["value"] > 0 for row in found["rows"]] == [True, True]
    assert ["input_param 1" in row["metric"] for row in found["rows"]] == [True, False]


def test_every_tick_is_a_step_of_one_episode_from_its_jpeg() -> None:
    policy = small.policy("points")
    jpeg = encode_rgb(seen(policy).images["cam_high"].repeat(30, 0).repeat(30, 1)[:480, :640], 90)
    steps = []
    act = policy.act

    def counting(observation):  # type: ignore[no-untyped-def]
        steps.append(observation.stamp_ns)
        return act(observation)

    policy.act = counting  # type: ignore[method-assign]
    assert len(inference_recurrent.ticks_ms(policy, [jpeg], 5)) == 5
    assert steps == [tick * 20_000_000 for tick in range(6)]


def test_every_recurrent_policy_can_be_measured() -> None:
    assert set(inference.RECURRENT) == set(inference_recurrent.PUBLISHED) == set(NETWORKS) - {"cae"}
    for policy, networks in inference_recurrent.PUBLISHED.items():
        for sizes in networks.values():
            assert config_of(policy, sizes).joints == 7


def test_a_checkpoint_of_another_policy_is_a_fault_of_the_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "model", small.checkpoint(small.policy("points")), "# A test\n")
    arguments = ["--policy", "sarnn", "--model", str(tmp_path / "model")]
    assert main(arguments) == 2
    assert "policy 'each_layer_lstm', not sarnn" in capsys.readouterr().err
