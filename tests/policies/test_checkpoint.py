"""A checkpoint that is damaged, pickled, or of something else is refused by file and by name."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from aloha_stack.policies.checkpoint import (
    CheckpointError,
    file_hash,
    load,
    read,
    read_config,
    save,
)
from aloha_stack.policies.policy import PolicyError, check_robot
from aloha_stack.robot.description import load_robot
from policies import small_act

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_act.saved(tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    copy.mkdir()
    for file in whole.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def change(folder: Path, edit: Change) -> None:
    file = folder / "config.json"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def change_weights(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """With the hash that belongs to the changed file, as a wrong training would leave it."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    edit(weights)
    save_file(weights, file)
    change(folder, lambda content: content.update(sha256=file_hash(file)))


def test_a_checkpoint_comes_back_as_it_was(folder: Path) -> None:
    written = small_act.checkpoint(small_act.policy())
    found = read(folder)
    assert found.spec == written.spec
    assert found.statistics == written.statistics
    assert list(found.weights) == sorted(written.weights)
    assert all(torch.equal(found.weights[k], value) for k, value in written.weights.items())
    assert (folder / "CARD.md").read_text() == "# A test\n"
    assert sorted(file.name for file in folder.iterdir()) == [
        *("CARD.md", "config.json", "model.safetensors")
    ]


def test_saving_again_replaces_the_checkpoint(folder: Path) -> None:
    other = small_act.policy()
    torch.nn.init.ones_(other.network.action_head.bias)
    save(folder, small_act.checkpoint(other), "# Second\n")
    assert torch.equal(read(folder).weights["action_head.bias"], torch.ones(14))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_refused(folder: Path, share: float) -> None:
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated"):
        load(folder)


def test_weights_of_another_checkpoint_are_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: its SHA-256 is not"):
        load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}: missing"):
        load(folder)


@pytest.mark.parametrize("name", ["policy.pt", "policy_best.ckpt", "pytorch_model.bin", "x.pkl"])
def test_pickled_files_are_refused_and_never_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(pickle.dumps(print))
    with pytest.raises(CheckpointError, match=f"{name}: .*pickled"):
        load(file)
    with pytest.raises(CheckpointError, match=f"config.json: missing; {name} is pickled"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_who_names_a_file_of_a_checkpoint_is_told_its_folder(folder: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=f"the folder of this file: {folder}$"):
        load(folder / name)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such folder"):
        load(tmp_path / "nowhere")


def statistics(part: str, **values: Any) -> Change:
    return lambda content: content["statistics"][part].update(values)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.update(format=2), "format 2, this version reads format 1"),
        (lambda c: c.pop("format"), "no format"),
        (lambda c: c.update(policy="sarnn"), "policy 'sarnn', its spec 'act'"),
        (lambda c: c["spec"].update(policy="magic"), "there is no policy 'magic'; there are act"),
        (lambda c: c["spec"].pop("cameras"), "spec: missing: cameras"),
        (lambda c: c["spec"].update(colour=1), "spec: unknown: colour"),
        (lambda c: c["spec"].update(chunk=0), "chunk: expected a number of ticks"),
        (lambda c: c["spec"].update(cameras="cam_high"), "cameras: expected names"),
        (lambda c: c["spec"].update(cameras=["a", "a"]), "cameras: a, a has one twice"),
        (lambda c: c["spec"].update(image_size=[0, 4]), "image_size: expected"),
        (lambda c: c["spec"].update(image_size=[10**9, 4]), "image_size: expected"),
        (lambda c: c["spec"].update(rate_hz="fast"), "rate_hz: expected"),
        (lambda c: c["spec"].update(stateful="false"), "stateful: expected true or false"),
        (lambda c: c["spec"].update(cameras=["cam_high"]), "cameras 2, spec 1"),
        (lambda c: c["config"].update(crop=[]), "crop .*: expected top, left, height, width"),
        (lambda c: c["config"].update(heads=3), "hidden: expected a multiple of heads"),
        (lambda c: c["config"].update(feedforward=64), "weights of another shape: .*linear1"),
        (lambda c: c["config"].update(cvae=False), "weights unknown: latent_encoder"),
        (lambda c: c["config"].update(decoder_layers=4), "weights missing: decoder.layers.3"),
        (lambda c: c["config"].update(backbone="resnet18"), "weights missing: backbone"),
        (lambda c: c.pop("statistics"), "statistics: missing"),
        (lambda c: c["statistics"].pop("state"), "statistics of state: no usable mean"),
        (statistics("action", std=[0.0] * 14), "statistics of action: .*std above 0"),
        (statistics("action", mean=[0.0] * 13), "statistics of action: statistics of .13,."),
        (statistics("state", std=[None] * 14), "statistics of state: "),
        (statistics("state", names=["a"] * 14), "statistics of state: statistics of .'a'"),
        (statistics("state", names=3), "statistics of state: statistics of 3"),
        (lambda c: c.update(sha256="0"), "its SHA-256 is not"),
    ],
)
def test_a_config_of_something_else_is_refused_by_name(
    folder: Path, edit: Change, message: str
) -> None:
    change(folder, edit)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": NaN}', "[" * 100_000, "\xff"])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("latin1"))
    with pytest.raises(CheckpointError, match=r"config\.json: "):
        load(folder)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused_by_name(folder: Path, value: float) -> None:
    change_weights(folder, lambda weights: weights["queries"][2, 3].fill_(value))
    with pytest.raises(CheckpointError, match="not finite: queries"):
        load(folder)


def test_weights_of_another_network_are_refused_by_name(folder: Path) -> None:
    def edit(weights: dict[str, torch.Tensor]) -> None:
        weights["brain"] = weights.pop("queries")

    change_weights(folder, edit)
    with pytest.raises(CheckpointError, match="missing: queries; unknown: brain"):
        load(folder)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    ),
    st.sampled_from(["spec", "config", "statistics", "policy", "format", "sha256"]),
)
@settings(max_examples=50, deadline=None)
def test_whatever_stands_in_a_config_is_a_named_error(whole: Path, value: Any, key: str) -> None:
    content = json.loads((whole / "config.json").read_text())
    for edited in (
        {**content, key: value},
        {**content, "spec": {**content["spec"], "image_size": value}},
        {**content, "config": {**content["config"], "stages": value}},
        {**content, "statistics": {**content["statistics"], "state": value}},
    ):
        broken = whole.parent / "broken"
        broken.mkdir(exist_ok=True)
        (broken / "config.json").write_text(json.dumps(edited))
        (broken / "model.safetensors").write_bytes((whole / "model.safetensors").read_bytes())
        if edited != content and edited["spec"] != {**content["spec"], "image_size": None}:
            with pytest.raises(CheckpointError, match="broken"):
                load(broken)


def test_the_loader_leaves_torchs_random_numbers_alone(folder: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load(folder)
    assert torch.equal(torch.rand(1), expected)


def test_a_policy_of_another_robot_or_camera_set_is_refused(folder: Path) -> None:
    twin = load_robot("twin", {"ALOHA_PORTS": "ports"})
    spec = read_config(folder)["spec"]
    check_robot(spec, twin)
    for edit, message in (
        ({"robot": "panda"}, "trained on robot 'panda', this is 'twin'"),
        ({"cameras": ["cam_high", "cam_ceiling"]}, "needs cam_ceiling; robot 'twin' has cam_high"),
    ):
        change(folder, lambda content, edit=edit: content["spec"].update(edit))
        with pytest.raises(PolicyError, match=message):
            check_robot(read_config(folder)["spec"], twin)
        change(folder, lambda content: content["spec"].update(robot="twin"))


def test_a_backend_that_there_is_not_is_refused_whatever_the_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no backend 'faster'; there is eager, fast, int8, auto"):
        load(tmp_path, backend="faster")
