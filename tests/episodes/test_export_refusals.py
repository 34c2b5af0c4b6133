"""What cannot be exported or imported is named, all of it, before anything is written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from aloha_stack.episodes import cli, target
from aloha_stack.episodes.reader import Episode
from episodes.aloha_files import digest, foreign
from episodes.sample_episodes import write_episode


def _nan(file: h5py.File) -> None:
    file["/action"][3, 6] = np.nan


def _narrow(file: h5py.File) -> None:
    narrow = file["/observations/qpos"][:, :7]
    del file["/observations/qpos"]
    file["/observations/qpos"] = narrow


def _short(file: h5py.File) -> None:
    short = file["/observations/qvel"][:5]
    del file["/observations/qvel"]
    file["/observations/qvel"] = short


def _no_action(file: h5py.File) -> None:
    del file["/action"]


def _no_images(file: h5py.File) -> None:
    del file["/observations/images"]


def _few_pictures(file: h5py.File) -> None:
    few = file["/observations/images/cam_low"][:9]
    del file["/observations/images/cam_low"]
    file["/observations/images/cam_low"] = few


def _grey(file: h5py.File) -> None:
    grey = file["/observations/images/cam_low"][:, :, :, 0]
    del file["/observations/images/cam_low"]
    file["/observations/images/cam_low"] = grey


def _no_lengths(file: h5py.File) -> None:
    del file["/compress_len"]


def _wrong_lengths(file: h5py.File) -> None:
    file["/compress_len"][...] = 3


def _no_rate(file: h5py.File) -> None:
    file.attrs["fps"] = 29.97


def _other_cameras(file: h5py.File) -> None:
    file.move("/observations/images/cam_low", "/observations/images/cam_side")


def _other_rate(file: h5py.File) -> None:
    file.attrs["fps"] = 30


@pytest.mark.parametrize(
    ("spoil", "compress", "words"),
    [
        (_nan, True, "action has 1 values that are no numbers, the first at step 3, column 6"),
        (_narrow, True, "/observations/qpos is float32 (12, 7)"),
        (_short, True, "/observations/qvel has 5 rows"),
        (_no_action, True, "has no /action"),
        (_no_images, True, "has no pictures of any camera"),
        (_few_pictures, False, "cam_low has 9 pictures"),
        (_grey, False, "cam_low is uint8 (12, 48, 64)"),
        (_no_lengths, True, "/compress_len does not tell"),
        (_wrong_lengths, True, "JPEGs do not end where /compress_len says"),
        (_no_rate, True, "fps is 29.97"),
        (_other_cameras, True, "cam_side 64×48"),
        (_other_rate, True, "steps per second 30 instead of 50"),
    ],
)
def test_an_aloha_file_that_is_not_as_it_should_be_is_refused_by_name(
    tmp_path: Path, capsys, spoil: Callable[[h5py.File], None], compress: bool, words: str
):
    sources = tmp_path / "aloha"
    sources.mkdir()
    for number in range(2):
        foreign(sources / f"episode_{number}.hdf5", compress=compress)
    with h5py.File(sources / "episode_1.hdf5", "r+") as file:
        spoil(file)
    before = digest(sources)
    target = tmp_path / "cube"
    assert cli.main(["convert", str(sources), "--task", "x", "--out", str(target)]) == 2
    said = capsys.readouterr().err
    assert "episode_1.hdf5" in said
    assert words in said
    assert digest(sources) == before
    assert [path.name for path in tmp_path.iterdir()] == ["aloha"]


@pytest.mark.parametrize("keep", [0, 100, 4000, -3000])
def test_a_file_that_was_cut_off_is_refused(tmp_path, capsys, keep):
    file = tmp_path / "episode_0.hdf5"
    foreign(file, compress=False)
    content = file.read_bytes()
    file.write_bytes(content[:keep])
    assert cli.main(["import", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "episode_0.hdf5" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("colours", ["true", "exchanged"])
def test_a_picture_that_is_no_jpeg_stops_an_import_and_leaves_nothing(tmp_path, capsys, colours):
    file = tmp_path / "episode_0.hdf5"
    foreign(file)
    with h5py.File(file, "r+") as spoilt:
        spoilt["/observations/images/cam_low"][7] = 0
    words = ["import", str(file), "--out", str(tmp_path / "out"), "--colours", colours]
    assert cli.main(words) == 2
    assert "cam_low: picture 7" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_recordings_of_other_cameras_sizes_or_robots_are_all_named(tmp_path, capsys):
    recorded = tmp_path / "recorded"
    for number, (names, size, robot) in enumerate(
        [
            (("cam_high", "cam_low"), (64, 48), "aloha"),
            (("cam_high",), (64, 48), "aloha"),
            (("cam_high", "cam_low"), (96, 48), "aloha"),
            (("cam_high", "cam_low"), (64, 48), "twin"),
        ]
    ):
        file = tmp_path / f"{number}.hdf5"
        foreign(file, names=names, size=size)
        words = ["import", str(file), "--out", str(recorded), "--robot", robot, "--task", "x"]
        assert cli.main(words) == 0
    words = ["export", str(recorded), "--format", "lerobot", "--out", str(tmp_path / "cube")]
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    for number, difference in enumerate(
        ("cameras cam_high 64×48 instead", "cam_high 96×48", "robot twin instead of aloha"), 1
    ):
        line = next(line for line in said.splitlines() if f"/episode_00000{number} differs" in line)
        assert difference in line
    assert not (tmp_path / "cube").exists()


def test_cameras_at_another_rate_are_named(tmp_path, capsys):
    recorded = tmp_path / "recorded"
    write_episode(recorded)
    slow = tmp_path / "slow.hdf5"
    foreign(slow, names=("cam_high", "cam_low", "cam_left_wrist", "cam_right_wrist"))
    words = ["--robot", "twin", "--task", "x", "--fps", "25"]
    assert cli.main(["import", str(slow), "--out", str(recorded), *words]) == 0
    words = ["export", str(recorded), "--format", "hdf5", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 2
    assert "cam_high came at 25.0 Hz instead of 50.0 Hz" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        (["convert", "aloha", "--task", "x"], "--size"),
        (["export", "recorded", "--format", "lerobot", "--size", "24x32"], "--cameras"),
        (["export", "recorded", "--format", "hdf5"], "--compress"),
    ],
)
def test_a_disk_without_the_room_is_told_ahead(tmp_path, capsys, monkeypatch, words, mend):
    (tmp_path / "aloha").mkdir()
    foreign(tmp_path / "aloha" / "episode_0.hdf5")
    write_episode(tmp_path / "recorded", seconds=0.3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(target, "free_gib", lambda folder: 1e-9 if folder.name == "out" else 1.0)
    assert cli.main([*words, "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert "GiB are free; make room" in said
    assert mend in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aloha", "recorded"]


def test_nothing_is_written_over_or_over_a_killed_export(tmp_path, capsys):
    path = write_episode(tmp_path / "recorded", seconds=0.3)
    words = ["export", str(path), "--format", "hdf5", "--out", str(tmp_path / "out")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("!")
    assert cli.main(words) == 2
    assert "out exists" in capsys.readouterr().err
    assert (tmp_path / "out" / "mine").read_text() == "!"
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out.partial").mkdir()
    assert cli.main(words) == 2
    assert "out.partial exists" in capsys.readouterr().err


def test_a_camera_or_an_episode_that_is_not_there_is_named(tmp_path, capsys):
    path = write_episode(tmp_path / "recorded", seconds=0.3)
    words = ["--format", "hdf5", "--out", str(tmp_path / "out")]
    assert cli.main(["export", str(path), *words, "--cameras", "cam_top"]) == 2
    assert "no pictures of cam_top; it has cam_high" in capsys.readouterr().err
    assert cli.main(["export", str(tmp_path / "nowhere"), *words]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert cli.main(["export", str(path), *words, "--only-good"]) == 2
    said = capsys.readouterr()
    assert "left out" in said.out
    assert "none of the episodes is good" in said.err
    assert cli.main(["export", str(path), *words]) == 0
    assert f"goes along (not so with --only-good): {path}" in capsys.readouterr().out


def test_damage_that_only_checksums_tell_is_never_exported(tmp_path, capsys):
    recorded = tmp_path / "recorded"
    broken, whole = (write_episode(recorded, seconds=1.2) for _ in range(2))
    table = Episode(broken).contents().pictures["/cam_low/image_raw/compressed"]
    with table.file.open("r+b") as file:
        file.seek(int(table.offset[10]) + 200)
        file.write(b"\x55\x55")
    for form in (["hdf5"], ["hdf5", "--compress"], ["lerobot"]):
        words = ["export", str(recorded), "--out", str(tmp_path / "out"), "--format", *form]
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert f"{broken} is damaged" in said
        assert "the checksum of a chunk does not fit its bytes" in said
        assert str(whole) not in said
        assert not (tmp_path / "out").exists()
    assert cli.main([*words[:-1], "hdf5", "--only-good"]) == 0
    assert f"left out: {broken} is damaged" in capsys.readouterr().out
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["episode_0.hdf5"]


def test_what_is_named_twice_is_refused(tmp_path, capsys):
    path = write_episode(tmp_path / "recorded", seconds=0.3)
    file = tmp_path / "aloha" / "episode_0.hdf5"
    file.parent.mkdir()
    foreign(file)
    out = ["--out", str(tmp_path / "out")]
    for words, named in (
        (["export", str(path), str(path.parent), "--format", "hdf5"], path),
        (["import", str(file), str(file.parent)], file),
        (["convert", str(file.parent), str(file), "--task", "x"], file),
    ):
        assert cli.main([*words, *out]) == 2
        assert f"{named} is given twice" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_odd_sizes_are_refused_where_a_video_cannot_have_them(tmp_path, capsys):
    path = write_episode(tmp_path / "recorded", seconds=0.3)
    words = ["export", str(path), "--format", "lerobot", "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--size", "47x64"]) == 2
    assert "even number" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main([*words, "--size", "large"])
