"""The recorder against real publishers: what is published is on disk, and refusals have words."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from aloha_interfaces.action import RecordEpisode
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo

from aloha_stack.episodes.metadata import read_metadata
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import summarise
from aloha_stack.nodes.recorder import Recorder
from nodes.domains import free_domain
from nodes.recorder_rig import Graph, Robot, graph_maker, resolved, result_of, wait_for

__all__ = ["graph_maker"]  # pytest finds the fixture by its presence here


def test_everything_published_while_recording_is_in_the_episode(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    feedback: list[Any] = []
    handle = graph.start(feedback.append, task="transfer_cube", seed=4, labels=["first"])
    wait_for(lambda: len(feedback) > 0 and feedback[-1].feedback.messages > 300)
    stopped = graph.stop(outcome="success", labels=["good"])
    result = result_of(handle)
    assert (stopped.success, stopped.message) == (True, "episode_000000 is kept")
    assert (result.kept, result.lost, result.outcome) == (True, 0, "success")
    assert result.path == stopped.path == str(tmp_path / "episode_000000")
    assert feedback[-1].feedback.free_gib > 0
    episode = Episode(result.path)
    assert (episode.info.task, episode.info.seed) == ("transfer_cube", 4)
    assert (episode.info.robot, episode.info.labels) == ("twin", ("first", "good"))
    stamps: dict[str, list[int]] = {name: [] for name in graph.robot.sent}
    for record in episode.records():
        stamps[record.topic].append(record.publish_ns)
        assert 0 <= record.log_ns - record.publish_ns < 5e9
    for name, sent in graph.robot.sent.items():
        first = sent.index(stamps[name][0])
        assert stamps[name] == sent[first : first + len(stamps[name])]
    summary = summarise(result.path)
    assert summary.messages == result.messages
    assert summary.verdict in ("good", "flawed")  # whole: short, and no robot publishes evenly here


def test_offered_qos_is_that_of_the_publishers(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    result = result_of(graph.start(duration=0.2))
    topics = {
        entry["topic_metadata"]["name"]: entry["topic_metadata"]
        for entry in read_metadata(Path(result.path))["topics_with_message_count"]
    }
    (image,) = topics["/cam_high/image_raw/compressed"]["offered_qos_profiles"]
    (joints,) = topics["/leader_left/joint_states"]["offered_qos_profiles"]
    assert (image["reliability"], joints["reliability"]) == ("best_effort", "reliable")
    assert topics["/leader_left/joint_states"]["type_description_hash"].startswith("RIHS01_")


def test_a_duration_ends_the_recording_by_itself(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    result = result_of(graph.start(duration=0.3))
    assert result.kept
    assert result.duration >= 0.3
    assert not graph.stop().success


def test_gaps_in_the_publication_numbers_are_the_episodes_losses(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    name = "/cam_high/camera_info"  # which nobody publishes here
    (tap,) = (tap for tap in graph.recorder.taps.all if tap.stream.name == name)
    hear = graph.recorder.taps.listener(tap)
    data = bytes(serialize_message(CameraInfo()))
    hear(data, {"publication_sequence_number": 1})
    handle = graph.start()
    wait_for(lambda: graph.recorder.take is not None)
    for number in (2, 3, 6, 8):
        hear(data, {"publication_sequence_number": number})
    graph.stop()
    result = result_of(handle)
    assert result.lost == 3
    assert Episode(result.path).info.lost[name] == 3
    assert any(r.startswith(f"3 lost on {name} ") for r in summarise(result.path).reasons)


def test_discard_removes_the_episode_and_the_next_takes_its_number(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    handle = graph.start()
    wait_for(lambda: (tmp_path / "episode_000000").exists())
    refused = graph.stop(discard=True, path="episode_000001")
    assert not refused.success
    assert refused.message.startswith("episode_000001 is not being recorded, but episode_000000")
    stopped = graph.stop(discard=True, path=str(tmp_path / "episode_000000"))
    assert (stopped.success, stopped.message) == (True, "episode_000000 is discarded")
    result = result_of(handle)
    assert (result.kept, result.message) == (False, "episode_000000 is discarded")
    assert list(tmp_path.iterdir()) == []
    assert result_of(graph.start(duration=0.05)).path.endswith("episode_000000")


def test_a_second_recording_and_an_unknown_outcome_are_refused(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    first = graph.start()
    wait_for(lambda: (tmp_path / "episode_000000").exists())
    assert "episode_000000 is being recorded" in result_of(graph.start()).message
    assert "expected success, failure" in graph.stop(outcome="splendid").message
    first.cancel_goal_async()
    result = result_of(first)
    assert (result.kept, result.outcome) == (True, "")


def test_silent_streams_are_named_and_nothing_is_made(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    silent = ("/cam_low/image_raw/compressed", "/follower_right/command_executed")
    graph = make_graph(tmp_path, silent=silent)
    graph.wait_for_streams(8)
    result = result_of(graph.start())
    assert not result.kept
    assert all(name in result.message for name in silent)
    assert "/cam_high" not in result.message
    assert list(tmp_path.iterdir()) == []


def test_cameras_that_were_not_chosen_are_neither_waited_for_nor_missing_later(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    silent = ("/cam_low/image_raw/compressed", "/cam_left_wrist/image_raw/compressed")
    graph = make_graph(tmp_path, silent=silent, camera_names="cam_right_wrist, cam_high")
    graph.wait_for_streams(8)
    result = result_of(graph.start(duration=0.5))
    assert result.kept, result.message
    episode = Episode(Path(result.path))
    assert list(episode.camera_topics) == ["cam_high", "cam_right_wrist"]
    assert not set(silent) & set(episode.topics)
    reasons = " ".join(summarise(episode.path).reasons)
    assert "cam_low" not in reasons
    assert "cam_left_wrist" not in reasons


@pytest.mark.parametrize(
    ("directory", "parameters", "words"),
    [
        ("/proc/self/fdinfo", {}, "cannot be written to"),
        ("", {"min_free_gib": 1e6}, "too full"),
    ],
)
def test_a_folder_that_takes_no_recording_is_refused_before_it_begins(
    tmp_path: Path,
    make_graph: Callable[..., Graph],
    directory: str,
    parameters: dict[str, float],
    words: str,
) -> None:
    graph = make_graph(Path(directory) if directory else tmp_path, **parameters)
    graph.wait_for_streams()
    asked = graph.ask("check")
    assert not asked.success
    assert words in asked.message
    result = result_of(graph.start())
    assert not result.kept
    assert words in result.message


def test_a_disk_that_fills_up_ends_the_recording_with_its_reason(
    tmp_path: Path, make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    assert graph.ask("check").success
    handle = graph.start()
    wait_for(lambda: (tmp_path / "episode_000000").exists())
    wait_for(lambda: "is being recorded" in graph.ask("check").message)
    monkeypatch.setattr("aloha_stack.nodes._recorder_watch.free_gib", lambda _: 0.05)
    answer = resolved(handle.get_result_async())
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.kept
    assert "only 0.05 GiB are left" in answer.result.message


def test_a_stream_that_goes_silent_is_told_and_the_recording_goes_on(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    handle = graph.start()
    wait_for(lambda: graph.recorder.take is not None)
    name = "/cam_low/image_raw/compressed"
    graph.robot.images = {n: p for n, p in graph.robot.images.items() if n != name}
    wait_for(lambda: graph.recorder.take.recording._silent)
    stopped = graph.stop(outcome="success")
    result = result_of(handle)
    assert stopped.success
    assert f"{name} was silent for 3." in stopped.message
    assert stopped.message == f"episode_000000 is kept: {result.message}"
    assert any(name in reason for reason in summarise(result.path).reasons)


def test_the_end_of_the_node_closes_the_episode_as_interrupted(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    handle = graph.start(task="insertion")
    wait_for(lambda: graph.recorder.take is not None)
    wait_for(lambda: graph.recorder.take.recording.messages > 50)
    graph.recorder.close()
    result = result_of(handle)
    assert (result.kept, result.outcome) == (True, "interrupted")
    assert "the recorder was deactivated" in result.message
    assert resolved(handle.get_result_async()).status == GoalStatus.STATUS_ABORTED
    summary = summarise(result.path)
    assert "the recording was interrupted" in summary.reasons
    assert summary.messages == result.messages > 50


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        ("robot", "alohomora", "no robot 'alohomora'.*twin"),
        ("extra_topics", ["/a"], "write /a:package/msg/Type"),
        ("extra_topics", ["a:b:c"], "extra topic 'a:b:c' is not understood"),
    ],
)
def test_an_unknown_robot_or_extra_topic_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, parameter: str, value: Any, words: str
) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "/nowhere")
    rclpy.init(domain_id=free_domain())
    given = {"robot": "twin", parameter: value}
    try:
        with pytest.raises(ValueError, match=words):
            Recorder(parameter_overrides=[Parameter(n, value=v) for n, v in given.items()])
    finally:
        rclpy.try_shutdown()


def test_ctrl_c_while_recording_closes_the_episode_and_ends_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the goal still open: who sent it hears of its end, and no complaint is logged."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ALOHA_PORTS", "/nowhere")
    domain = free_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from aloha_stack.nodes.recorder import main; sys.exit(main())",
            *("--ros-args", "-p", "robot:=twin", "-p", f"directory:={tmp_path}"),
        ],
        env={**os.environ, "PYTHONPATH": path},
        stderr=(tmp_path / "log").open("w"),
    )
    rclpy.init(domain_id=domain)
    robot = Robot()
    client = Node("client")
    goals = ActionClient(client, RecordEpisode, "/recorder/record_episode")
    results: list[Any] = []
    try:
        file = tmp_path / "episode_000000" / "episode_000000_0.mcap"
        assert goals.wait_for_server(20.0)

        def recording() -> bool:
            if not file.exists():  # refused as long as not all streams have been heard
                sending = goals.send_goal_async(RecordEpisode.Goal(task="insertion"))
                rclpy.spin_until_future_complete(client, sending, timeout_sec=5.0)
                results.append(sending.result().get_result_async())
                rclpy.spin_once(client, timeout_sec=0.1)
            return file.exists()

        wait_for(recording, 20.0)
        wait_for(lambda: file.stat().st_size > 150_000)  # it flushes twice a second
        process.send_signal(signal.SIGINT)
        for result in results:  # goals that came too early, or too late, were refused
            rclpy.spin_until_future_complete(client, result, timeout_sec=10.0)
        assert all(r.result().status == GoalStatus.STATUS_ABORTED for r in results)
        assert any("the recorder was deactivated" in r.result().result.message for r in results)
        assert process.wait(10.0) == 0
    finally:
        process.kill()
        process.wait()
        robot.close()
        goals.destroy()
        client.destroy_node()
        rclpy.try_shutdown()
    episode = Episode(tmp_path / "episode_000000")
    assert len(list(episode.records())) > 50
    assert episode.closed
    assert (episode.info.outcome, episode.info.task) == ("interrupted", "insertion")
    log = (tmp_path / "log").read_text()
    assert "invalid" not in log.lower()
    assert "Error" not in log
