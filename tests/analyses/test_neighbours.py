"""`./aloha analyse neighbours`: whom a VINN acts like, in numbers and in a picture."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from aloha_stack.analyses.neighbours import main, without
from aloha_stack.training.training import Request
from aloha_stack.training.vinn_request import make_vinn
from policies import small_act, small_vinn
from training.tiny_training import one_thread
from training.training_episodes import write

SETS = (
    "data.cameras=[cam_high, cam_low]",
    "data.image_size=[24, 32]",
    "data.crop=null",
    "data.seen=null",
    "data.cache=false",
    "data.validation=0",
    "network.encoder={backbone: light, stages: [8], norm_groups: 4}",
    "network.dims=4",
    "network.neighbours=2",
    "network.joint_weight=1.0",
    "network.temperature=0.5",
    "network.chunk=10",
    "network.every=1",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A policy and its episodes."""
    folder = tmp_path_factory.mktemp("neighbours")
    for number in range(3):
        write(folder / "data", 1.1 + 0.1 * number, number=number, size=(24, 32))
    request = Request("vinn", (folder / "data",), folder / "model", changes=SETS)
    with one_thread():
        make_vinn(request)
    return folder / "model", folder / "data"


def rows(model: Path, data: Path, out: Path, *words: str) -> list[dict]:  # type: ignore[type-arg]
    request = [str(model), "--data", str(data), "--out", str(out), "--episodes", "1", *words]
    with one_thread():
        assert main([*request, "--steps", "2"]) == 0
    found: list[dict] = json.loads((out / "neighbours.json").read_text())  # type: ignore[type-arg]
    return found


def test_a_demonstration_is_its_own_first_neighbour(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    found = rows(*made, tmp_path / "out")
    assert len(found) == 2
    for row in found:
        first, second = row["neighbours"]
        assert first["episode"] == row["episode"]
        assert first["time_s"] == pytest.approx(row["time_s"])
        assert first["distance"] < 1e-2
        assert second["episode"] != row["episode"]  # neighbours are of different episodes
        assert first["weight"] + second["weight"] == pytest.approx(1)
        assert second["distance"] == pytest.approx(second["visual"] + second["joints"])


def test_left_out_it_has_others_and_the_picture_has_a_line_for_each_step(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = rows(*made, out, "--leave-out")
    assert all(one["episode"] != row["episode"] for row in found for one in row["neighbours"])
    picture = cv2.imread(str(next(out.glob("*_neighbours.png"))))
    assert picture is not None
    assert picture.std() > 10


def test_an_index_without_an_episode_keeps_the_others_rows() -> None:
    index = small_vinn.policy().index
    kept = without(index, index.sources[1].digest)
    first, last = index.first[1], index.first[2]
    assert np.array_equal(kept.actions, np.delete(index.actions, np.s_[first:last], axis=0))
    assert [source.name for source in kept.sources] == ["episode_000000", "episode_000002"]
    after = int(first)  # of what came behind it
    assert np.array_equal(kept.chunk(after, 30), index.chunk(int(last), 30))
    assert without(index, "of none") is index


def test_another_policy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_act.saved(tmp_path / "act")
    words = [str(model), "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert "expected a vinn" in capsys.readouterr().err
