"""Policies of the original ACT code and of LeRobot give here the actions that they give there."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.cli import main
from aloha_stack.policies.importing import ImportOptions, import_model
from aloha_stack.policies.numpy_pickle import read_arrays
from aloha_stack.policies.policy import Policy, PolicyError
from policies import foreign_models as foreign

KINDS = ("post_norm", "pre_norm")
ORIGINAL = ImportOptions(
    cameras=foreign.CAMERAS, image_size=(foreign.HEIGHT, foreign.WIDTH), heads=4
)
ALL_LAYERS = ImportOptions(
    cameras=foreign.CAMERAS,
    image_size=(foreign.HEIGHT, foreign.WIDTH),
    heads=4,
    all_layers=True,
)
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-5}


def posterior(policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """What the CVAE's encoder says of the demonstration."""
    assert isinstance(policy, ActPolicy)
    assert policy.network.latent_encoder is not None
    with torch.inference_mode():
        mean, log_var = policy.network.latent_encoder(
            policy.state(torch.from_numpy(foreign.STATE))[None],
            policy.action(torch.from_numpy(foreign.ACTION))[None],
            torch.from_numpy(foreign.IS_PAD)[None],
        )
    return mean.numpy(), log_var.numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_the_original_codes_policy_gives_its_actions(tmp_path: Path, kind: str) -> None:
    said = foreign.reference("act")[kind]
    source = foreign.write_original(tmp_path, kind)
    policy = import_model(source, tmp_path / "model", ORIGINAL)
    np.testing.assert_allclose(policy.act(foreign.observation()), said["first_layer"], **CLOSE)
    mean, log_var = posterior(policy)
    np.testing.assert_allclose(mean, said["mean"], **CLOSE)
    np.testing.assert_allclose(log_var, said["log_var"], **CLOSE)


def test_all_decoder_layers_of_the_original_codes_network_can_be_used(tmp_path: Path) -> None:
    foreign.write_original(tmp_path, "post_norm")
    policy = import_model(tmp_path, tmp_path / "model", ALL_LAYERS)
    said = foreign.reference("act")["post_norm"]
    np.testing.assert_allclose(policy.act(foreign.observation()), said["last_layer"], **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", [False, True])
def test_lerobots_policy_gives_its_actions(tmp_path: Path, kind: str, old: bool) -> None:
    said = foreign.reference("lerobot")[kind]
    source = tmp_path / "pretrained_model"
    source.mkdir()
    policy = import_model(
        foreign.write_lerobot(source, kind, old), tmp_path / "model", ImportOptions(task="cube")
    )
    assert policy.spec.cameras == foreign.CAMERAS
    assert policy.spec.image_size == (foreign.HEIGHT, foreign.WIDTH)
    np.testing.assert_allclose(policy.act(foreign.observation()), said["actions"], **CLOSE)
    mean, log_var = posterior(policy)
    np.testing.assert_allclose(mean, said["mean"], **CLOSE)
    np.testing.assert_allclose(log_var, said["log_var"], **CLOSE)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_statistics_of_every_pickle_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    foreign.write_original(tmp_path, "post_norm", protocol)
    check_statistics(tmp_path / "dataset_stats.pkl")


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_statistics_pickled_by_numpy_1_and_2_are_read(tmp_path: Path, core: bytes) -> None:
    foreign.write_original(tmp_path, "post_norm", protocol=2)
    file = tmp_path / "dataset_stats.pkl"
    text = file.read_bytes().replace(b"numpy._core", b"numpy.core")
    file.write_bytes(text.replace(b"numpy.core", core))
    check_statistics(file)


def check_statistics(file: Path) -> None:
    arrays = read_arrays(file)
    said = foreign.reference("act")["statistics"]
    np.testing.assert_allclose(arrays["qpos_std"], said["qpos_std"], rtol=1e-6)
    assert arrays["example_qpos"].shape == (20, 14)


class Runs:
    """Pickled, it would run a command as soon as it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    foreign.write_original(tmp_path, "post_norm")
    (tmp_path / "dataset_stats.pkl").write_bytes(pickle.dumps({"qpos_mean": Runs(mark)}))
    with pytest.raises(PolicyError, match=r"dataset_stats\.pkl: refused: .*system"):
        import_model(tmp_path, tmp_path / "model", ORIGINAL)
    torch.save({"model.queries": Runs(mark)}, tmp_path / "policy_best.ckpt")
    with pytest.raises(PolicyError, match=r"policy_best\.ckpt: holds more than tensors"):
        import_model(tmp_path, tmp_path / "model", ORIGINAL)
    assert not mark.exists()
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated"),
        (b"\x80\x04", "truncated"),
        (b"no pickle", "truncated|damaged"),
        (pickle.dumps([1.0]), "expected a dictionary"),
        (pickle.dumps({"qpos_mean": "text"}), "no array"),
        (pickle.dumps({"qpos_mean": np.array([None])}), "no numbers"),
        (pickle.dumps({"qpos_mean": np.zeros(7)}), "qpos_mean: expected 14 numbers"),
        (pickle.dumps({"qpos_mean": np.full(14, np.nan)}), "qpos_mean: expected 14 numbers"),
    ],
)
def test_statistics_that_are_none_are_refused_by_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    foreign.write_original(tmp_path, "post_norm")
    (tmp_path / "dataset_stats.pkl").write_bytes(content)
    with pytest.raises(PolicyError, match=rf"dataset_stats\.pkl.*({message})"):
        import_model(tmp_path, tmp_path / "model", ORIGINAL)


@given(cut=st.integers(0, 3000), flip=st.integers(0, 3000), bit=st.integers(0, 7))
@settings(max_examples=100, deadline=None)
def test_a_damaged_pickle_is_an_error_with_its_name_or_still_numbers(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int, bit: int
) -> None:
    whole = bytearray(pickle.dumps({"qpos_mean": np.arange(14.0), "n": np.float32(1)}))
    whole[flip % len(whole)] ^= 1 << bit
    file = tmp_path_factory.mktemp("damaged") / "dataset_stats.pkl"
    file.write_bytes(whole[: cut % len(whole) or None])
    try:
        kinds = {array.dtype.kind for array in read_arrays(file).values()}
    except PolicyError as error:
        kinds = {str(error).partition(":")[0].removeprefix(str(file.parent))}
    assert kinds <= set("fiub") or kinds == {"/dataset_stats.pkl"}


def change_config(folder: Path, key: str, value: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))


VISUAL = {"type": "VISUAL", "shape": [3, 64, 96]}
ARMS = {"type": "STATE", "shape": [14]}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("type", "diffusion", "type 'diffusion', expected 'act'"),
        ("vision_backbone", "resnet50", "vision_backbone 'resnet50'"),
        ("replace_final_stride_with_dilation", True, "replace_final_stride"),
        ("normalization_mapping", {"STATE": "QUANTILES"}, "'QUANTILES' is not supported"),
        ("chunk_size", 7, "queries .6, 32. instead of .7, 32."),
        ("dim_model", "wide", "hidden: expected a whole number"),
        ("input_features", {"observation.state": ARMS}, "it has no camera"),
        (
            "input_features",
            {"observation.state": {"type": "STATE", "shape": [6]}, "observation.images.a": VISUAL},
            "observation.state: shape .6,., expected .14,.",
        ),
        (
            "input_features",
            {
                "observation.state": ARMS,
                "observation.images.a": VISUAL,
                "observation.environment_state": {"type": "ENV", "shape": [7]},
            },
            "it reads observation.environment_state",
        ),
    ],
)
def test_what_lerobots_policy_has_and_ours_has_not_is_refused_by_name(
    tmp_path: Path, key: str, value: Any, message: str
) -> None:
    source = tmp_path / "pretrained_model"
    source.mkdir()
    change_config(foreign.write_lerobot(source, "post_norm"), key, value)
    with pytest.raises(PolicyError, match=message):
        import_model(source, tmp_path / "model", ImportOptions())
    assert not (tmp_path / "model").exists()


def test_truncated_weights_are_named(tmp_path: Path) -> None:
    source = tmp_path / "pretrained_model"
    source.mkdir()
    foreign.write_lerobot(source, "post_norm")
    file = source / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(PolicyError, match=r"model\.safetensors: truncated"):
        import_model(source, tmp_path / "model", ImportOptions())
    original = foreign.write_original(tmp_path, "post_norm")
    original.write_bytes(original.read_bytes()[:100_000])
    with pytest.raises(PolicyError, match=r"policy_best\.ckpt: truncated"):
        import_model(original, tmp_path / "model", ORIGINAL)


def test_the_cameras_of_a_ckpt_have_to_be_told(tmp_path: Path) -> None:
    foreign.write_original(tmp_path, "post_norm")
    with pytest.raises(PolicyError, match="--cameras"):
        import_model(tmp_path, tmp_path / "model", ImportOptions())


def test_an_existing_model_is_not_overwritten(tmp_path: Path) -> None:
    source = foreign.write_original(tmp_path, "post_norm")
    with pytest.raises(PolicyError, match="exists already"):
        import_model(source, tmp_path, ORIGINAL)


def test_the_command_imports_shows_and_lists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = foreign.write_original(tmp_path, "post_norm")
    target = tmp_path / "models" / "cube"
    arguments = ["--cameras", "cam_high,cam_low", "--size", "96x64", "--heads", "4"]
    assert main(["import", str(source), str(target), *arguments, "--task", "cube"]) == 0
    assert main(["show", str(target)]) == 0
    assert main(["list", str(target.parent)]) == 0
    told = capsys.readouterr().out
    assert "cam_high, cam_low, 96x64, 6 ticks at 50 Hz" in told
    assert "first_layer_only True" in told
    assert "Imported from the original ACT code" in told
    assert main(["show", str(source)]) == 1
    assert "models import" in capsys.readouterr().err
