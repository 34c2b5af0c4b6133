"""Episodes → LeRobotDataset v3.0: every row has its picture, and upstream's files say so.

Checked as the lerobot package (0.4.4) reads it, without needing it here: paths from meta/info.json,
episodes from meta/episodes, pictures by from_timestamp + timestamp.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from aloha_stack.episodes import cli, lerobot_tables, lerobot_video
from aloha_stack.episodes.alignment import align
from aloha_stack.episodes.commanders import HUMAN, NOBODY, POLICY
from aloha_stack.episodes.lerobot_layout import FILES_PER_CHUNK, next_place
from aloha_stack.episodes.mcap_file import Record
from aloha_stack.episodes.metadata import EpisodeInfo, pause_notes
from aloha_stack.episodes.reader import Episode
from aloha_stack.robot.joints import CAMERAS
from episodes.aloha_files import THREE, digest, foreign
from episodes.altered_episodes import altered
from episodes.player_states import ticks, with_player
from episodes.sample_episodes import START_NS, image_bytes, write_episode

KEYS = [f"observation.images.{name}" for name in CAMERAS]


class Dataset:
    """What a reader finds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.info = json.loads((root / "meta/info.json").read_text())
        self.stats = json.loads((root / "meta/stats.json").read_text())
        self.episodes = self._rows("meta/episodes")
        self.rows = self._rows("data")

    def _rows(self, folder: str) -> list[dict[str, Any]]:
        files = sorted((self.root / folder).rglob("*.parquet"))
        return [row for file in files for row in pq.read_table(file).to_pylist()]

    def video(self, key: str, episode: dict[str, Any]) -> Path:
        place = {p: episode[f"videos/{key}/{p}"] for p in ("chunk_index", "file_index")}
        return self.root / self.info["video_path"].format(video_key=key, **place)


def brightness(path: Path) -> list[tuple[float, float]]:
    """(time s, mean level) of every picture of a video."""
    with av.open(str(path)) as file:
        return [
            (float(frame.time), float(frame.to_ndarray(format="rgb24").mean()))
            for frame in file.decode(video=0)
        ]


def export(source: Path, target: Path, *options: str) -> int:
    words = ["export", str(source), "--format", "lerobot", "--out", str(target), *options]
    return cli.main(words)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes; the second is a rollout that was paused from 0.5 to 0.7 s."""
    folder = tmp_path_factory.mktemp("recorded")
    write_episode(folder, camera_delay_ns=2_000_000)
    pause = pause_notes([(START_NS + 500_000_000, START_NS + 700_000_000)])
    other = tmp_path_factory.mktemp("other")
    info = EpisodeInfo(task="insertion", robot="twin", notes=pause)
    rollout = write_episode(other, seconds=1.2, info=info)
    with_player(rollout, folder, ticks([(POLICY, 15), (NOBODY, 3), (HUMAN, 30), (POLICY, 12)]))
    return folder


@pytest.fixture(scope="module")
def exported(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    target = tmp_path_factory.mktemp("exported") / "cube"
    before = digest(recorded)
    assert export(recorded, target) == 0
    assert digest(recorded) == before
    return Dataset(target)


def test_every_row_has_its_picture_of_every_camera(recorded, exported):
    for key in KEYS:
        for episode in exported.episodes:
            rows = exported.rows[episode["dataset_from_index"] : episode["dataset_to_index"]]
            found = brightness(exported.video(key, episode))
            by_time = {round(time * 50): level for time, level in found}
            assert len(found) == len(by_time) == exported.info["total_frames"]
            for row in rows:
                seconds = episode[f"videos/{key}/from_timestamp"] + row["timestamp"]
                time, level = found[round(seconds * 50)]
                assert abs(time - seconds) < 1e-4
                assert abs(level - _shade(row)) < 4


def _shade(row: dict[str, Any]) -> int:
    """What sample_episodes paints, by the time of the picture."""
    return round((row["time_ns"] - START_NS) / 10_000_000) // 2 * 2 % 256


def test_rows_are_the_aligned_steps(recorded, exported):
    steps = align(Episode(recorded / "episode_000000"))
    rows = [row for row in exported.rows if row["episode_index"] == 0]
    for name, values in (("observation.state", steps.state), ("action", steps.action)):
        found = np.array([row[name] for row in rows], np.float32)
        np.testing.assert_array_equal(found, values.astype(np.float32))
    assert [row["time_ns"] for row in rows] == steps.time_ns.tolist()
    skew = np.array([row["capture.skew_s"] for row in rows])
    wanted = np.stack([steps.cameras[name].skew_ns for name in CAMERAS], axis=1) * 1e-9
    np.testing.assert_allclose(skew, wanted, atol=1e-9)
    ages = np.array([row["joint_age_s"] for row in rows])
    names = exported.info["features"]["joint_age_s"]["names"]
    wanted = np.stack([steps.joint_age_ns[name] for name in names], axis=1) * 1e-9
    np.testing.assert_allclose(ages, wanted, atol=1e-9)


def test_each_row_tells_by_name_who_commanded(recorded, exported):
    assert exported.info["features"]["commander"]["names"] == ["nobody", "policy", "human"]
    steps = [align(Episode(recorded / f"episode_00000{number}")).commander for number in (0, 1)]
    assert set(steps[0]) == {HUMAN}
    assert set(steps[1]) == {NOBODY, POLICY, HUMAN}
    wanted = np.eye(3)[np.concatenate(steps)]
    np.testing.assert_array_equal([row["commander"] for row in exported.rows], wanted)


def test_a_pause_divides_an_episode_and_indices_go_on(recorded, exported):
    segments = int(align(Episode(recorded / "episode_000001")).segment[-1]) + 1
    assert segments == 2
    assert len(exported.episodes) == 1 + segments
    lengths = [episode["length"] for episode in exported.episodes]
    assert [row["index"] for row in exported.rows] == list(range(sum(lengths)))
    expected = [(e, f) for e, length in enumerate(lengths) for f in range(length)]
    assert [(row["episode_index"], row["frame_index"]) for row in exported.rows] == expected
    stamps = np.array([row["timestamp"] for row in exported.rows])
    frames = np.array([row["frame_index"] for row in exported.rows])
    np.testing.assert_allclose(stamps, frames / 50, rtol=1e-6)
    tasks = pq.read_table(exported.root / "meta/tasks.parquet")
    assert tasks.column("__index_level_0__").to_pylist() == ["transfer_cube", "insertion"]
    pandas = json.loads(tasks.schema.metadata[b"pandas"])
    assert pandas["index_columns"] == ["__index_level_0__"]
    for episode in exported.episodes:
        indices = {r["task_index"] for r in exported.rows[episode["dataset_from_index"] :][:1]}
        assert episode["tasks"] == [tasks.column("__index_level_0__").to_pylist()[indices.pop()]]
    sources = (exported.root / "meta/sources.jsonl").read_text().splitlines()
    assert "episode_000001 (segment 1)" in json.loads(sources[2])["source"]


def test_info_and_statistics_are_as_lerobot_has_them(exported):
    info = exported.info
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 50, "twin")
    assert info["total_frames"] == len(exported.rows)
    assert info["splits"] == {"train": "0:3"}
    assert info["features"]["observation.state"]["shape"] == [14]
    assert info["features"]["observation.state"]["names"][6] == "left_gripper"
    for key in KEYS:
        about = info["features"][key]
        assert (about["dtype"], about["shape"]) == ("video", [48, 64, 3])
        assert (about["info"]["video.codec"], about["info"]["video.pix_fmt"]) == ("av1", "yuv420p")
    assert set(exported.stats) == set(info["features"])
    state = np.array([row["observation.state"] for row in exported.rows])
    for name, wanted in (("min", state.min(0)), ("mean", state.mean(0)), ("std", state.std(0))):
        np.testing.assert_allclose(exported.stats["observation.state"][name], wanted, atol=1e-6)
    for stats in (exported.stats[key] for key in KEYS):
        assert set(stats) == {*("min", "max", "mean", "std", "count"), "q01", "q10", "q50"} | {
            "q90",
            "q99",
        }
        assert np.shape(stats["mean"]) == (3, 1, 1)
        assert 0 <= np.min(stats["min"]) < np.max(stats["max"]) <= 1
    assert len(exported.episodes[0]["stats/action/q99"]) == 14


def test_a_picture_that_gets_lost_in_encoding_fails_the_export(
    recorded, tmp_path, monkeypatch, capsys
):
    whole = lerobot_video.encode

    def one_short(pictures: Any, path: Path, *rest: Any) -> None:
        skipped = 7 if "cam_low" in path.name else -1
        whole((p for i, p in enumerate(pictures) if i != skipped), path, *rest)

    monkeypatch.setattr(lerobot_video, "encode", one_short)
    assert export(recorded, tmp_path / "cube", "--codec", "h264") == 2
    said = capsys.readouterr().err
    assert "episode_000000: cam_low" in said
    assert not list(tmp_path.iterdir())


def test_files_are_changed_when_they_are_full(recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_video, "VIDEO_MB", 0)
    monkeypatch.setattr(lerobot_tables, "DATA_MB", 0)
    assert export(recorded, tmp_path / "cube", "--codec", "h264", "--cameras", "cam_low") == 0
    found = Dataset(tmp_path / "cube")
    key = "observation.images.cam_low"
    for number, episode in enumerate(found.episodes):
        assert (episode[f"videos/{key}/file_index"], episode["data/file_index"]) == (number,) * 2
        assert episode[f"videos/{key}/from_timestamp"] == 0.0
        levels = brightness(found.video(key, episode))
        rows = found.rows[episode["dataset_from_index"] : episode["dataset_to_index"]]
        assert len(levels) == episode["length"] == len(rows)
        for (time, level), row in zip(levels, rows, strict=True):
            assert abs(time - row["timestamp"]) < 1e-4
            assert abs(level - _shade(row)) < 6
    assert next_place((0, FILES_PER_CHUNK - 1)) == (1, 0)


def test_a_damaged_picture_is_named_and_leaves_no_target(tmp_path, capsys):
    """One that was recorded so: its checksum is right."""
    wrist, at = "/cam_left_wrist/image_raw/compressed", START_NS + 400_000_000

    def spoil(record: Record) -> Record:
        if (record.topic, record.publish_ns) != (wrist, at):
            return record
        return replace(record, data=image_bytes(at, bytes(200)))

    path = altered(write_episode(tmp_path / "recorded"), tmp_path / "spoilt", spoil)
    assert export(path, tmp_path / "cube") == 2
    assert "picture 20 of /cam_left_wrist" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["recorded", "spoilt"]


def test_aloha_files_become_a_dataset_directly(tmp_path, capsys):
    sources = tmp_path / "aloha"
    sources.mkdir()
    for number, compress in enumerate((True, False)):
        foreign(sources / f"episode_{number}.hdf5", 12 + number, compress)
    before = digest(sources)
    words = ["convert", str(sources), "--out", str(tmp_path / "cube")]
    assert cli.main(words) == 2
    assert "--task" in capsys.readouterr().err
    assert cli.main([*words, "--task", "pick the cube", "--codec", "h264"]) == 0
    assert digest(sources) == before
    found = Dataset(tmp_path / "cube")
    assert [episode["length"] for episode in found.episodes] == [12, 13]
    assert found.episodes[0]["tasks"] == ["pick the cube"]
    assert "capture.skew_s" not in found.info["features"]
    assert "observation.effort" in found.info["features"]
    for name in THREE:
        key = f"observation.images.{name}"
        assert len(brightness(found.video(key, found.episodes[0]))) == 25
        red, _, blue = np.ravel(found.stats[key]["mean"])
        assert red < blue / 2  # the colours are right in both forms


def test_both_ways_to_a_dataset_give_the_same_rows_and_pictures(recorded, tmp_path):
    words = ["export", str(recorded), "--format", "hdf5", "--compress", "--out"]
    assert cli.main([*words, str(tmp_path / "aloha")]) == 0
    words = ["convert", str(tmp_path / "aloha"), "--codec", "h264", "--out", str(tmp_path / "b")]
    assert cli.main(words) == 0
    assert export(recorded, tmp_path / "a", "--codec", "h264") == 0
    a, b = Dataset(tmp_path / "a"), Dataset(tmp_path / "b")
    assert a.rows == b.rows
    assert a.episodes == b.episodes
    assert a.info == b.info
    for key in KEYS:
        assert a.video(key, a.episodes[0]).read_bytes() == b.video(key, b.episodes[0]).read_bytes()
