"""Networks with the weights of ogata-lab/eipl's say here what they say there.

upstream_eipl.json holds what that code itself gave for seeded weights and inputs; its key "how"
says how that was made.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from aloha_stack.policies.cae import Cae, CaeConfig
from aloha_stack.policies.checkpoint import read
from aloha_stack.policies.cli import main
from aloha_stack.policies.import_eipl import renamed
from aloha_stack.policies.importing import ImportOptions, import_model
from aloha_stack.policies.policy import Observation, PolicyError
from aloha_stack.policies.recurrent_policy import RecurrentPolicy
from aloha_stack.policies.weights import load_weights
from policies.seeded_weights import pictures, seeded, seeded_all

UPSTREAM = json.loads((Path(__file__).parent / "upstream_eipl.json").read_text())
NETWORKS = ("CNNRNN", "CNNRNNLN", "SARNN")
STEPS = 4
JOINTS = seeded("joints", (STEPS, 8)) * np.float32(0.3) + np.float32(0.5)
BOUNDS = np.stack([np.linspace(-2, -1, 8), np.linspace(0, 3, 8)])
OPTIONS = ImportOptions(cameras=("cam_high",), robot="elsewhere", task="grasp", rate_hz=10.0)


def weights(name: str) -> dict[str, Tensor]:
    """The seeded weights under their names; grids and counters are of no meaning."""
    drawn = seeded_all(UPSTREAM[name]["shapes"])
    found = {key: torch.from_numpy(np.asarray(value)) for key, value in drawn.items()}
    return {
        key: value.long() if key.endswith("num_batches_tracked") else value
        for key, value in found.items()
    }


def written(folder: Path, name: str, **told: float) -> Path:
    """A .pth as its training writes it, with what lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.pth"
    saved = {"epoch": 83, "model_state_dict": weights(name), "train_loss": 0.1, "test_loss": 0.2}
    torch.save(saved, file)
    (folder / "args.json").write_text(json.dumps({"vmin": 0.0, "vmax": 1.0, **told}))
    np.save(folder / "joint_bounds.npy", BOUNDS)
    return file


def seen(size: int) -> list[Observation]:
    """What upstream's networks saw, from a robot whose joints have these bounds."""
    state = (BOUNDS[0] + JOINTS * (BOUNDS[1] - BOUNDS[0])).astype(np.float32)
    images = pictures(STEPS, size, size)
    return [Observation(state[t], {"cam_high": images[t]}, t * 100_000_000) for t in range(STEPS)]


def close(found: Any, expected: Any, atol: float = 2e-5) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=atol)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_policy_gives_the_joints_that_upstreams_network_says(tmp_path: Path, name: str) -> None:
    said = UPSTREAM[name]
    policy = import_model(written(tmp_path / "log", name), tmp_path / "model", OPTIONS)
    rows = np.stack([policy.act(one) for one in seen(said["size"])])
    expected = BOUNDS[0] + np.array(said["joints"]) * (BOUNDS[1] - BOUNDS[0])
    close(rows[:, 1], expected, atol=1e-4)
    close(rows[1:, 0], expected[:-1], atol=1e-4)
    assert policy.spec.rate_hz == 10


@pytest.mark.parametrize("name", NETWORKS)
def test_pictures_points_and_memory_are_upstreams(tmp_path: Path, name: str) -> None:
    said = UPSTREAM[name]
    policy = import_model(written(tmp_path / "log", name), tmp_path / "model", OPTIONS)
    assert isinstance(policy, RecurrentPolicy)
    images = torch.from_numpy(pictures(STEPS, said["size"], said["size"]))
    with torch.inference_mode():
        predicted, memory = policy.network(
            images.permute(0, 3, 1, 2)[None] / 255, torch.from_numpy(JOINTS)[None]
        )
    close(predicted.joints[0], said["joints"])
    close(memory.hidden[0], said["hidden"])
    close(memory.cell[0], said["cell"])
    _same_picture(predicted.image[0, -1], said)
    if name == "SARNN":
        close(predicted.points[0, -1].flatten(), said["points"])
        close(predicted.encoded_points[0, -1].flatten(), said["encoded_points"])


@pytest.mark.parametrize("batch_norm", [False, True])
def test_basic_auto_encoders_are_upstreams(batch_norm: bool) -> None:
    name = "BasicCAEBN" if batch_norm else "BasicCAE"
    said = UPSTREAM[name]
    network = Cae(CaeConfig(batch_norm=batch_norm)).eval()
    load_weights(network, renamed(weights(name), Path(name)))
    images = torch.from_numpy(pictures(STEPS, 128, 128)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        features = network.encode(images)
        close(features, said["features"])
        _same_picture(network.decode(features)[-1], said)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_convolutions_of_large_auto_encoders_are_upstreams(batch_norm: bool) -> None:
    name = "CAEBN" if batch_norm else "CAE"
    said = UPSTREAM[name]
    network = Cae(CaeConfig(image_size=(64, 64), size="large", batch_norm=batch_norm)).eval()
    network.load_state_dict(weights(name), strict=False)
    images = torch.from_numpy(pictures(STEPS, 64, 64)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        maps = network.encoder[: said["flatten"]](images)
        close(maps[-1][:, ::3, ::3].flatten()[::8], said["maps"], atol=1e-4)
        _same_picture(network.decoder[said["unflatten"] + 1 :](maps)[-1], said)


def test_an_lstm_and_its_auto_encoder_become_one_policy(tmp_path: Path) -> None:
    file = written(tmp_path / "rnn", "BasicLSTM")
    np.save(file.parent / "feat_bounds.npy", np.array([-0.5, 1.5]))
    options = ImportOptions(
        cameras=("cam_high",), autoencoder=written(tmp_path / "cae", "BasicCAE"), rate_hz=10.0
    )
    policy = import_model(file, tmp_path / "model", options)
    assert isinstance(policy, RecurrentPolicy)
    network = policy.network
    x = seeded("x", (STEPS, 18)) * np.float32(0.3) + np.float32(0.5)
    features, joints = (torch.from_numpy(part)[None] for part in (x[:, :10], x[:, 10:]))
    images = torch.from_numpy(pictures(STEPS, 128, 128)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        encoded = network.encode(images)
        hidden, _ = network.recur(features, joints)
        predicted = network.decode(hidden[0], encoded, with_image=False)
    close(encoded.feature, (np.array(UPSTREAM["BasicCAE"]["features"]) + 0.5) / 2)
    assert predicted.feature is not None
    close(torch.cat((predicted.feature, predicted.joints), 1), UPSTREAM["BasicLSTM"]["outputs"])


def test_what_a_training_was_told_is_kept(tmp_path: Path) -> None:
    told = {"vmin": -0.9, "vmax": 0.9, "temperature": 0.01, "heatmap_size": 0.2}
    import_model(written(tmp_path / "log", "SARNN", **told), tmp_path / "model", OPTIONS)
    config = read(tmp_path / "model").config
    assert config["value_range"] == [-0.9, 0.9]
    assert (config["temperature"], config["spot_size"]) == (0.01, 0.2)
    assert config["image_size"] == [64, 64]


def test_a_network_of_seven_joints_moves_the_arm_that_is_named(tmp_path: Path) -> None:
    file = written(tmp_path / "log", "SARNN")
    theirs = weights("SARNN")
    eight = {"rec.weight_ih": 1, "decoder_joint.0.weight": 0, "decoder_joint.0.bias": 0}
    for name, dim in eight.items():
        theirs[name] = theirs[name].narrow(dim, 0, theirs[name].shape[dim] - 1)
    torch.save({f"_orig_mod.{name}": value for name, value in theirs.items()}, file)
    np.save(file.parent / "joint_bounds.npy", BOUNDS[:, :7])
    arguments = ["--cameras", "cam_high", "--arm", "left", "--rate", "10"]
    assert main(["import", str(file), str(tmp_path / "model"), *arguments]) == 0
    checkpoint = read(tmp_path / "model")
    assert checkpoint.config["arms"] == ["left"]
    assert checkpoint.statistics["joints"]["names"][-1] == "left_gripper"
    assert len(checkpoint.spec.action_names) == 14


def test_what_cannot_be_imported_is_refused_by_name(tmp_path: Path) -> None:
    file = written(tmp_path / "log", "CNNRNN")
    target = tmp_path / "model"
    for options, message in (
        (ImportOptions(), "--cameras NAME"),
        (ImportOptions(cameras=("cam_high", "cam_low")), "the one camera"),
    ):
        with pytest.raises(PolicyError, match=message):
            import_model(file, target, options)
    np.save(file.parent / "joint_bounds.npy", BOUNDS[:, :7])
    with pytest.raises(PolicyError, match=r"joint_bounds\.npy: expected .2, 8. numbers"):
        import_model(file, target, OPTIONS)
    np.save(file.parent / "joint_bounds.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(PolicyError, match=r"joint_bounds\.npy: damaged, or no array"):
        import_model(file, target, OPTIONS)
    (file.parent / "joint_bounds.npy").unlink()
    with pytest.raises(PolicyError, match=r"joint_bounds\.npy: missing"):
        import_model(file, target, OPTIONS)
    with pytest.raises(PolicyError, match="an auto-encoder alone is no policy"):
        import_model(written(tmp_path / "cae", "BasicCAE"), target, OPTIONS)
    with pytest.raises(PolicyError, match="give the --autoencoder"):
        import_model(written(tmp_path / "rnn", "BasicLSTM"), target, OPTIONS)
    torch.save({"model_state_dict": {"head.weight": torch.zeros(2)}}, file)
    with pytest.raises(PolicyError, match="none of CNNRNN, CNNRNNLN, SARNN and LSTM"):
        import_model(file, target, OPTIONS)
    file.write_bytes(b"no weights")
    with pytest.raises(PolicyError, match=r"CNNRNN\.pth: (truncated|holds)"):
        import_model(file, target, OPTIONS)
    assert not target.exists()


def _same_picture(image: Tensor, said: dict[str, Any]) -> None:
    step = said["size"] // 4
    close(image[:, ::step, ::step].flatten(), said["image"])
    close(image.mean(), said["image_mean"])
