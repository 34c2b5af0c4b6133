"""Episodes come back as arrays and pictures; foreign and damaged files are named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.episodes.cdr import stamp_ns
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import frame_indexes
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.writer import EpisodeWriter
from episodes.sample_episodes import (
    START_NS,
    image_bytes,
    joint_bytes,
    jpeg,
    motion,
    topic,
    write_episode,
)


def test_joint_streams_are_arrays_with_stamps_and_names(tmp_path: Path) -> None:
    episode = Episode(write_episode(tmp_path, seconds=0.3))
    stream = episode.joints("/follower_right/command_executed")["/follower_right/command_executed"]
    assert stream.names[:2] == ("waist", "shoulder")
    assert stream.position.shape == (30, 7)
    np.testing.assert_allclose(stream.position[12], motion(12, 7))
    np.testing.assert_array_equal(stream.stamps_ns, START_NS + 10_000_000 * np.arange(30))
    assert np.isnan(stream.velocity).all()
    assert episode.closed


def test_pictures_are_the_jpeg_bytes_that_were_sent(tmp_path: Path) -> None:
    frames = frame_indexes(Episode(write_episode(tmp_path, seconds=0.1)))["cam_low"]
    assert [frames.picture(i) for i in range(5)] == [jpeg(step) for step in range(0, 10, 2)]
    assert frames.rgb(0).shape == (48, 64, 3) == (frames.height, frames.width, 3)
    assert list(np.diff(frames.stamps_ns)) == [20_000_000] * 4


def test_asking_for_a_stream_that_is_not_there_lists_what_is(tmp_path: Path) -> None:
    episode = Episode(write_episode(tmp_path, seconds=0.02))
    with pytest.raises(EpisodeError, match=r"/follower_middle.*it has /leader_left/joint_states"):
        episode.joints("/follower_middle/joint_states")


def test_joints_that_change_their_names_are_refused(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo())
    writer.write("/a", joint_bytes(0, [0.0], ["waist"]), 0, 0)
    writer.write("/a", joint_bytes(1, [0.0], ["elbow"]), 1, 1)
    with pytest.raises(EpisodeError, match=r"/a changes its joints"):
        Episode(writer.finish("")).joints("/a")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.yaml", b"{", "cannot be read as YAML"),
        ("metadata.yaml", b"a: 1", "not the metadata of a bag"),
        ("episode_000000_0.mcap", b"SQLite format 3" * 9, "not an MCAP file"),
        ("episode_000000_0.mcap", b"", "not an MCAP file"),
    ],
)
def test_foreign_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = write_episode(tmp_path, seconds=0.02)
    (path / name).write_bytes(content)
    with pytest.raises(EpisodeError, match=f"{name}.*{message}"):
        list(Episode(path).records())


def test_a_folder_without_metadata_is_no_episode(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="is not an episode"):
        Episode(tmp_path)
    with pytest.raises(EpisodeError, match="no episode at"):
        Episode(tmp_path / "nothing")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.02)
    (path / "episode_000000_0.mcap").unlink()
    with pytest.raises(EpisodeError, match=r"episode_000000_0.mcap cannot be opened"):
        list(Episode(path).records())


def test_bytes_damaged_in_the_middle_are_found(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.2)
    file = path / "episode_000000_0.mcap"
    content = bytearray(file.read_bytes())
    middle = content.index(image_bytes(START_NS, jpeg(0))[-40:]) + 10
    content[middle] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(EpisodeError, match="is damaged near byte"):
        list(Episode(path).records())


@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0.05, 0.999))
def test_a_file_cut_anywhere_yields_whole_messages_or_an_episode_error(
    tmp_path_factory: pytest.TempPathFactory, cut: float
) -> None:
    directory = tmp_path_factory.mktemp("cut")
    writer = EpisodeWriter(directory, [topic("/a")], EpisodeInfo())
    for step in range(30):
        writer.write("/a", joint_bytes(step, range(7)), step, step, step)
        if step % 10 == 9:
            writer.flush()
    path = writer.finish("")
    file = path / "episode_000000_0.mcap"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * cut)])
    episode = Episode(path)
    try:
        got = [record.sequence for record in episode.records()]
    except EpisodeError:
        return
    assert got == list(range(len(got)))
    assert len(got) % 10 == 0
    assert not episode.closed


@given(
    sec=st.integers(-(2**31), 2**31 - 1),
    nanosec=st.integers(0, 999_999_999),
    little=st.booleans(),
)
def test_stamps_are_read_from_the_bytes_in_either_order(
    sec: int, nanosec: int, little: bool
) -> None:
    order = "little" if little else "big"
    data = bytes([0, int(little), 0, 0])
    data += sec.to_bytes(4, order, signed=True) + nanosec.to_bytes(4, order)
    assert stamp_ns(data) == sec * 10**9 + nanosec


def test_stamp_of_too_few_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        stamp_ns(b"\0\1\0\0abcd")
