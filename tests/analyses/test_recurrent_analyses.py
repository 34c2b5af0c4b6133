"""`./aloha analyse attribution | pca | offline`: what they find, draw, and refuse by name."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from aloha_stack.analyses.__main__ import main
from aloha_stack.analyses.offline_pictures import as_picture
from aloha_stack.analyses.pca import components_of
from aloha_stack.analyses.recurrent_subject import Seen, Subject
from aloha_stack.policies.policy import Observation
from aloha_stack.policies.recurrent import as_input
from aloha_stack.progress import Progress
from analyses.recurrent_checkpoints import SIZE, episodes, policy
from training.training_episodes import write


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return episodes(tmp_path_factory.mktemp("episodes"))


@pytest.fixture(scope="module")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        name: policy(name, data, folder / name)
        for name in ("each_layer_lstm", "cnnrnn", "sarnn", "cae")
    }


def first(subject: Subject, data: Path, steps: int = 12) -> Seen:
    seen = subject.sequence(subject.episodes([data], Progress()), 0)
    return Seen(
        seen.path,
        *(part[:steps] for part in (seen.times_s, seen.pictures, seen.joints, seen.commands)),
    )


@pytest.mark.parametrize("name", ["each_layer_lstm", "cnnrnn", "sarnn"])
@pytest.mark.parametrize("input_param", [1.0, 0.8])
def test_a_trace_is_what_the_policy_does(
    name: str, input_param: float, models: dict[str, Path], data: Path
) -> None:
    subject = Subject(models[name])
    seen = first(subject, data)
    told = subject.told(subject.trace(seen, input_param))
    subject.policy.adjust("input_param", str(input_param))
    for step in range(len(seen.times_s)):
        state = np.zeros(14, np.float32)
        state[7:] = seen.joints[step]
        observation = Observation(state, {"cam_low": seen.pictures[step]}, step * 20_000_000)
        chunk = subject.policy.act(observation)
        np.testing.assert_allclose(chunk[1, 7:], told[step], atol=1e-5)


def test_on_its_own_a_network_needs_the_first_picture_alone(
    models: dict[str, Path], data: Path
) -> None:
    subject = Subject(models["cnnrnn"])
    seen = first(subject, data)
    other = Seen(seen.path, seen.times_s, seen.pictures.copy(), seen.joints.copy(), seen.commands)
    other.pictures[1:] = 255
    other.joints[1:] += 0.3
    alone, disturbed = (subject.told(subject.trace(one, 0.0)) for one in (seen, other))
    np.testing.assert_array_equal(alone, disturbed)
    assert not np.allclose(subject.told(subject.trace(other)), alone)


def test_a_picture_comes_back_as_it_went_in(models: dict[str, Path], data: Path) -> None:
    subject = Subject(models["cnnrnn"])
    picture = first(subject, data).pictures[3]
    seen = as_input(torch.from_numpy(picture), subject.network.config)
    np.testing.assert_array_equal(as_picture(seen, (0.0, 1.0), False), picture)


def test_points_lie_where_the_maps_saw_them(models: dict[str, Path]) -> None:
    corners = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    sharp, padded = (Subject(models[name]) for name in ("sarnn", "each_layer_lstm"))
    np.testing.assert_allclose(sharp.pixels(corners, SIZE), [[3, 3], [28, 28]])  # lost at edges
    np.testing.assert_allclose(padded.pixels(corners, SIZE), [[0, 0], [31, 31]])


def test_principal_components_are_found() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((20, 2)))[0].T
    along = rng.standard_normal((300, 2)) * (5.0, 1.0)
    found = components_of(along @ axes + 3.0)
    assert abs(found.axes[0] @ axes[0]) > 0.99
    np.testing.assert_allclose(found.share.sum(), 1.0)
    assert found.share[0] > 0.9
    np.testing.assert_allclose(found(along @ axes + 3.0).std(axis=0)[:2], [5.0, 1.0], rtol=0.15)
    same = components_of(np.ones((5, 4)))
    assert not same.share.any()
    assert np.isfinite(same(np.ones((5, 4)))).all()


def test_attribution_draws_and_tells_the_matrix(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["attribution", str(models["each_layer_lstm"]), "--data", str(data)]
    assert main([*words, "--out", str(tmp_path)]) == 0
    told = json.loads((tmp_path / "attribution.json").read_text())
    matrix = np.array(told["matrix"])
    assert matrix.shape == (7, len(told["columns"])) == (7, len(told["groups"]))
    assert np.isfinite(matrix).all()
    sums = told["sum_over_group"]
    ratio = sum(sums["image feature"]) / sum(sums["joints"])
    assert told["feature_to_joints"] == pytest.approx(ratio)
    assert f"image feature / joints: {ratio:.3f}" in capsys.readouterr().out
    assert _is_picture(tmp_path / "attribution.png")


def test_pca_knows_where_objects_lay(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    words = ["pca", str(models["sarnn"]), "--data", str(data), "--out", str(tmp_path)]
    assert main(words) == 0
    told = json.loads((tmp_path / "pca.json").read_text())
    assert [one["position"]["name"] for one in told["episodes"]] == ["A", "B"]
    assert [one["position"]["x_m"] for one in told["episodes"]] == [0.0, 0.1]
    assert all(np.shape(one["points"])[1] == 3 for one in told["episodes"])
    assert 0 < sum(told["share_of_variance"]) < 1 + 1e-9
    assert _is_picture(tmp_path / "pca.png")


def test_pca_of_episodes_whose_objects_nobody_noted(
    models: dict[str, Path], tmp_path: Path
) -> None:
    episodes(tmp_path / "data", 1, noted=False)
    words = ["pca", str(models["each_layer_lstm"]), "--data", str(tmp_path / "data")]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    told = json.loads((tmp_path / "out/pca.json").read_text())
    assert told["episodes"][0]["position"] is None


@pytest.mark.parametrize(("name", "tiles"), [("sarnn", 2), ("each_layer_lstm", 1)])
def test_offline_draws_joints_and_films_what_is_told(
    name: str, tiles: int, models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    words = ["offline", str(models[name]), "--data", str(data), "--out", str(tmp_path)]
    assert main([*words, "--episodes", "1", "--input-param", "0.8"]) == 0
    told = json.loads((tmp_path / "offline.json").read_text())
    assert told["input_param"] == 0.8
    (row,) = told["episodes"]
    assert row["rms_to_command"] > 0
    assert next(iter(row["of_joints"])) == "right_waist"
    assert _is_picture(tmp_path / "00_episode_000000_joints.png")
    with av.open(str(tmp_path / "00_episode_000000.mp4")) as film:
        stream = film.streams.video[0]
        assert (stream.height, stream.width) == (320, 320 * tiles)
        assert sum(1 for _ in film.decode(stream)) == row["steps"]


def test_checkpoints_that_are_no_recurrent_policy_are_refused_by_name(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("attribution", "pca", "offline"):
        for wrong, told in ((models["cae"], "auto-encoder"), (tmp_path / "none", "no such folder")):
            words = [name, str(wrong), "--data", str(data), "--out", str(tmp_path / "out")]
            assert main(words) == 1
            message = capsys.readouterr().err
            assert message.startswith(f"aloha analyse {name}: ")
            assert told in message


def test_episodes_without_the_policy_s_camera_are_refused(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data", 1.1, ("cam_high",), size=SIZE)
    words = ["pca", str(models["cnnrnn"]), "--data", str(tmp_path / "data")]
    assert main([*words, "--out", str(tmp_path / "out")]) == 1
    assert "has no camera cam_low" in capsys.readouterr().err


def test_a_wrong_share_is_a_wrong_request(models: dict[str, Path], data: Path) -> None:
    words = ["offline", str(models["cnnrnn"]), "--data", str(data), "--out", "x"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--input-param", "1.5"])
    assert ended.value.code == 2


def _is_picture(file: Path) -> bool:
    picture = cv2.imread(str(file))
    return picture is not None and picture.std() > 1
