"""What the demonstration shows at its end: plots, a video and tables."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from aloha_stack.analysis.plots import plot_joints
from aloha_stack.analysis.success import succeeded
from aloha_stack.analysis.tables import camera_table, episode_table
from aloha_stack.analysis.video import write_video
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import frame_indexes
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import summarise
from aloha_stack.episodes.writer import EpisodeWriter
from episodes.sample_episodes import topic, write_episode


def test_joint_plot_draws_every_stream_in_its_colour(tmp_path: Path) -> None:
    episode = Episode(write_episode(tmp_path, seconds=0.5))
    picture = cv2.imread(str(plot_joints(episode, tmp_path / "joints.png", dpi=60)))
    assert picture is not None
    drawn = {tuple(colour) for colour in picture.reshape(-1, 3)[:, ::-1].tolist()}
    for colour in ("#9aa5b1", "#d9622b", "#1f6fb2"):  # leader, command, follower
        assert tuple(bytes.fromhex(colour[1:])) in drawn


def test_plot_of_an_episode_without_joints_is_refused(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo())
    with pytest.raises(EpisodeError, match="no joint stream to draw"):
        plot_joints(Episode(writer.finish("")), tmp_path / "joints.png")


def test_video_shows_all_cameras_at_their_time(tmp_path: Path) -> None:
    episode = Episode(write_episode(tmp_path, seconds=0.4))
    calls: list[tuple[int, int]] = []
    path = write_video(episode, tmp_path / "v.mp4", progress=lambda *now: calls.append(now))
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert video.average_rate == 50
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video)]
    assert calls == [(done, 20) for done in range(1, 21)]
    assert [frame.shape for frame in frames] == [(96, 128)] * 20
    # Picture n of each camera is uniformly of shade 2 n.
    for index in (0, 10, 19):
        for row in (40, 88):
            for column in (50, 114):
                assert frames[index][row, column] == pytest.approx(2 * index, abs=4)


def test_video_without_pictures_is_refused(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo())
    with pytest.raises(EpisodeError, match="no pictures"):
        write_video(Episode(writer.finish("")), tmp_path / "v.mp4")


def test_damaged_picture_is_named(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.1)
    frames = frame_indexes(Episode(path))["cam_high"]
    with frames.path.open("r+b") as file:
        file.seek(int(frames.offset[2]))
        file.write(b"no jpeg")
    with pytest.raises(EpisodeError, match=f"picture 2 of {frames.topic}"):
        write_video(Episode(path), tmp_path / "v.mp4")


def test_tables_name_each_episode_and_each_camera(tmp_path: Path) -> None:
    lost = {"/cam_low/image_raw/compressed": 7}
    summary = summarise(write_episode(tmp_path, seconds=0.5, lost=lost))
    rows = episode_table([summary]).splitlines()
    assert rows[0].startswith("episode")
    assert rows[2].split()[:6] == ["episode_000000", "transfer_cube", "3", "24", "100.0", "7"]
    cameras = camera_table([summary]).splitlines()[2:]
    assert [row.split()[1:] for row in cameras] == [
        ["cam_high", "25", "50.0", "0"],
        ["cam_low", "25", "50.0", "7"],
        ["cam_left_wrist", "25", "50.0", "0"],
        ["cam_right_wrist", "25", "50.0", "0"],
    ]
    assert succeeded(summary) is None


def test_columns_are_as_wide_as_their_widest_cell(tmp_path: Path) -> None:
    summary = summarise(write_episode(tmp_path, seconds=0.1))
    lines = camera_table([summary]).splitlines()
    starts = {line.index("cam_") for line in lines[2:]}
    assert len(starts) == 1
    assert np.unique([len(line) for line in lines]).size == 1
