"""An import is whole or not at all, and takes nothing that no robot can have done."""

from pathlib import Path

import h5py
import pytest

from aloha_stack.episodes import cli, importing
from episodes.aloha_files import digest, foreign
from episodes.sample_episodes import write_episode


def _files(folder: Path, count: int = 3) -> list[Path]:
    folder.mkdir()
    files = [folder / f"episode_{number}.hdf5" for number in range(count)]
    for file in files:
        foreign(file)
    return files


@pytest.mark.parametrize("before", [True, False])
def test_an_import_that_fails_on_the_way_leaves_what_was_there(tmp_path, capsys, before):
    """A picture is found to be none only when its turn comes: in the third file."""
    files, out = _files(tmp_path / "aloha"), tmp_path / "out"
    with h5py.File(files[2], "r+") as spoilt:
        spoilt["/observations/images/cam_low"][7] = 0
    if before:
        write_episode(out, seconds=0.2)
    there = digest(out) if before else ""
    words = ["import", str(tmp_path / "aloha"), "--out", str(out)]
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert "episode_2.hdf5" in said.err
    assert "2 episodes were taken away again" in said.out
    assert out.exists() == before
    assert not before or digest(out) == there
    foreign(files[2])
    assert cli.main(words) == 0
    assert len(list(out.iterdir())) == 3 + before


def test_a_camera_that_only_some_of_the_files_have_is_named(tmp_path, capsys):
    files = _files(tmp_path / "aloha")
    foreign(files[1], names=("cam_high", "cam_left_wrist"))
    foreign(files[2], names=("cam_high", "cam_low", "cam_left_wrist", "cam_side"))
    words = ["import", str(tmp_path / "aloha"), "--out", str(tmp_path / "out")]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert f"{files[2]} differs from {files[0]}: only it has cam_side" in said
    assert f"{files[1]} differs from {files[0]}: it lacks cam_low" in said
    assert not (tmp_path / "out").exists()
    assert cli.main([*words, "--cameras", "cam_high"]) == 0


@pytest.mark.parametrize("command", ["import", "convert"])
@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        ("observations/qpos", 1, 1e30, "state has 1 values that no aloha can have"),
        ("observations/qpos", 1, 1e30, "in row 5: left_shoulder is 1e+30 rad"),
        ("action", 9, -90.0, "in row 5: right_elbow is -90 rad"),
        ("action", 13, 50.0, "in row 5: right_gripper is 50 of 0 … 1"),
    ],
)
def test_joint_values_that_no_robot_can_have_are_named(
    tmp_path, capsys, command, name, column, value, words
):
    first, second = _files(tmp_path / "aloha", 2)
    with h5py.File(second, "r+") as file:
        file[name][5, column] = value
    given = [command, str(tmp_path / "aloha"), "--task", "x", "--out", str(tmp_path / "out")]
    assert cli.main(given) == 2
    said = capsys.readouterr().err
    assert str(second) in said
    assert words in said
    assert str(first) not in said
    assert not (tmp_path / "out").exists()


def test_a_value_that_only_a_servo_turned_by_its_zero_has_comes_in(tmp_path):
    (file,) = _files(tmp_path / "aloha", 1)
    with h5py.File(file, "r+") as turned:
        turned["observations/qpos"][:, 5] += 6.0
        turned["action"][:, 6] = -0.4
    assert cli.main(["import", str(file), "--out", str(tmp_path / "out")]) == 0


def test_a_disk_that_is_too_full_is_told_ahead_and_nothing_is_made(tmp_path, capsys, monkeypatch):
    (file,) = _files(tmp_path / "aloha", 1)
    monkeypatch.setattr(importing, "SPARE_GIB", 1e9)
    assert cli.main(["import", str(file), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "make room, or choose another --out" in said
    assert "min_free_gib" not in said
    assert not (tmp_path / "out").exists()
