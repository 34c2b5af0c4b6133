"""A recording in its own thread: nothing waits, nothing vanishes uncounted, a full disk is said."""

import resource
import threading
from pathlib import Path

import pytest

from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.recording import Ending, Recording
from aloha_stack.episodes.streams import extra_stream, robot_streams
from aloha_stack.episodes.summary import summarise
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.description import load_robot
from episodes.sample_episodes import image_bytes, joint_bytes, topic


def test_messages_from_several_threads_are_all_written(tmp_path: Path) -> None:
    names = ["/a", "/b", "/c"]
    recording = Recording(EpisodeWriter(tmp_path, [topic(name) for name in names], EpisodeInfo()))

    def feed(name: str) -> None:
        for step in range(200):
            recording.add(name, joint_bytes(step, range(7)), step, step, step)

    threads = [threading.Thread(target=feed, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recording.end(Ending("success", ("fine",)))
    assert not recording.end(Ending("failure"))
    kept = recording.wait(10.0)
    assert kept is not None
    assert (kept.messages, kept.lost_messages, kept.problem) == (600, 0, "")
    episode = Episode(tmp_path / "episode_000000")
    assert (episode.info.outcome, episode.info.labels) == ("success", ("fine",))
    for name in names:
        assert [r.sequence for r in episode.records([name])] == list(range(200))


def test_what_finds_no_room_is_counted_as_lost(tmp_path: Path) -> None:
    data = joint_bytes(0, range(7))
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo())
    recording = Recording(writer, queue_bytes=len(data) - 1)
    for _ in range(3):
        recording.add("/a", data, 0, 0, 0)
    recording.missed("/a", 4)
    recording.end(Ending())
    kept = recording.wait(10.0)
    assert kept is not None
    assert (kept.messages, kept.lost) == (0, {"/a": 7})
    assert Episode(tmp_path / "episode_000000").info.lost == {"/a": 7}


def test_what_the_last_flush_found_no_room_for_is_lost_and_not_written(tmp_path: Path) -> None:
    """The disk is full when the episode ends: its figures are those of the file."""
    name, kind = "/cam_high/image_raw/compressed", "sensor_msgs/msg/CompressedImage"
    writer = EpisodeWriter(tmp_path, [topic(name, kind)], EpisodeInfo(), flush_interval_s=99.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))  # stands for a full disk
    try:
        recording = Recording(writer)
        for step in range(10):
            recording.add(name, image_bytes(step, bytes(40_000)), step, step, step)
        recording.end(Ending("success"))
        kept = recording.wait(10.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept is not None
    assert (kept.messages, kept.lost, kept.outcome) == (0, {name: 10}, "interrupted")
    assert "File too large" in kept.problem
    episode = Episode(tmp_path / "episode_000000")
    assert list(episode.records()) == []
    assert (episode.info.outcome, episode.info.lost) == ("interrupted", {name: 10})


def test_a_file_that_cannot_grow_ends_as_a_problem_and_keeps_what_was_flushed(
    tmp_path: Path,
) -> None:
    name, kind = "/cam_high/image_raw/compressed", "sensor_msgs/msg/CompressedImage"
    writer = EpisodeWriter(tmp_path, [topic(name, kind)], EpisodeInfo(), flush_interval_s=0.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))  # stands for a full disk
    try:
        recording = Recording(writer)
        for step in range(10):
            recording.add(name, image_bytes(step, bytes(40_000)), step, step, step)
        recording.end(Ending("interrupted"))
        kept = recording.wait(10.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept is not None
    assert "episode_000000 failed: File too large" in kept.problem
    episode = Episode(tmp_path / "episode_000000")
    survivors = [record.sequence for record in episode.records()]
    assert survivors == list(range(len(survivors)))
    assert len(survivors) >= 3
    assert (kept.messages, kept.lost_messages) == (len(survivors), 10 - len(survivors))
    assert episode.info.outcome == "interrupted"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_that_nobody_foresaw_ends_as_a_problem_too(tmp_path: Path) -> None:
    recording = Recording(EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo()))
    recording.add("/a", joint_bytes(0, range(7)), 1, 1, 1)
    recording.add("/a", b"", "no time", 1, 2)  # type: ignore[arg-type]
    kept = recording.wait(10.0)
    for thread in threading.enumerate():  # the error is told by the thread's own end
        if thread.name == "episode writer":
            thread.join(10.0)
    assert kept is not None
    assert "episode_000000 failed: TypeError" in kept.problem
    assert not recording.end(Ending())
    episode = Episode(tmp_path / "episode_000000")
    assert episode.info.outcome == "interrupted"
    assert len(list(episode.records())) == 1


def test_silent_streams_stay_with_the_episode_and_its_summary(tmp_path: Path) -> None:
    recording = Recording(EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo()))
    recording.add("/a", joint_bytes(0, range(7)), 1, 1, 1)
    recording.silent("/cam_low", 3.1)
    recording.silent("/cam_low", 4.25)
    recording.end(Ending("success"))
    kept = recording.wait(10.0)
    assert kept is not None
    assert kept.silent == {"/cam_low": 4.25}
    summary = summarise(tmp_path / "episode_000000")
    assert summary.verdict == "incomplete"
    assert "/cam_low was silent for 4.25 s" in summary.reasons


def test_an_episode_of_the_robot_holds_its_arms_and_cameras(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "/nowhere")
    streams = robot_streams(load_robot("twin"), ["/task/state", "/a:std_msgs/msg/String"])
    required = {stream.name for stream in streams if stream.required}
    assert len(required) == 4 + 2 + 4
    assert "/follower_left/command_executed" in required
    assert "/task/state" in {stream.name for stream in streams}
    assert "/leader_left/command_executed" not in {stream.name for stream in streams}
    assert len(streams) == 4 + 2 + 4 + 4 + 4 + 4 + 1
    assert extra_stream("/a:std_msgs/msg/String:best_effort").qos.reliability == "best_effort"


def test_a_robot_without_cameras_is_recorded_without_them() -> None:
    robot = load_robot("twin", {"ALOHA_PORTS": "none"})
    blind = robot_streams(robot, cameras=False)
    assert not any("image_raw" in stream.name for stream in blind)
    assert {s.name for s in robot_streams(robot)} - {s.name for s in blind} == {
        f"/{camera}/{topic}"
        for camera in robot.cameras
        for topic in ("image_raw/compressed", "camera_info")
    }
