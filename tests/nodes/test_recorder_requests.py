"""What the recorder says of itself, and what can be asked of it besides a recording."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from aloha_interfaces.msg import RecorderState
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image, JointState

from aloha_stack.episodes.metadata import pauses, read_metadata
from aloha_stack.episodes.reader import Episode
from aloha_stack.robot.share import share_folder
from episodes.sample_episodes import stamped
from nodes.recorder_rig import BEST_EFFORT, Graph, graph_maker, result_of, wait_for

__all__ = ["graph_maker"]  # pytest finds the fixture by its presence here

IMAGE = "/cam_low/image_raw/compressed"


def recording(graph: Graph, more_than: int = 0) -> bool:
    return graph.state.state == RecorderState.RECORDING and graph.state.messages > more_than


def custom_data(episode: Path) -> dict[str, str]:
    data = read_metadata(episode)["custom_data"]
    assert isinstance(data, dict)
    return data


def test_the_state_is_told_steadily_and_tells_what_is_being_recorded(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    wait_for(lambda: graph.state.silent == [])
    assert graph.state.state == RecorderState.IDLE
    told = len(graph.states)
    wait_for(lambda: len(graph.states) >= told + 3)
    handle = graph.start(task="insertion")
    wait_for(lambda: recording(graph, 50))
    state = graph.state
    assert (state.path, state.task) == (str(tmp_path / "episode_000000"), "insertion")
    assert state.elapsed > 0
    assert state.free_gib > 0
    graph.stop(outcome="failure")
    result_of(handle)
    wait_for(lambda: graph.state.kept == 1)
    state = graph.state
    assert (state.state, state.path) == (RecorderState.IDLE, "")
    assert (state.last_path, state.last_outcome) == (str(tmp_path / "episode_000000"), "failure")


def test_silent_streams_and_a_recorder_that_is_not_active_are_in_the_state(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path, silent=(IMAGE,))
    graph.wait_for_streams(9)
    wait_for(lambda: graph.state.silent == [IMAGE])
    assert graph.recorder.transition("deactivate")
    wait_for(lambda: "the recorder is inactive" in graph.state.message)


def test_nothing_is_written_while_it_is_paused_and_the_pause_is_on_the_disk_at_once(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    handle = graph.start()
    wait_for(lambda: recording(graph, 100))
    assert graph.ask("pause").success
    episode = tmp_path / "episode_000000"
    ((began, ended),) = json.loads(custom_data(episode)["pauses"])
    assert began > 0
    assert ended is None
    wait_for(lambda: all(s.state == RecorderState.PAUSED for s in graph.states[-3:]))
    messages, elapsed = graph.state.messages, graph.state.elapsed
    time.sleep(0.3)
    assert graph.ask("pause").message.endswith("is paused already")
    assert (graph.state.messages - messages, graph.state.elapsed) == (0, elapsed)
    assert graph.ask("resume").success
    ((_, ended),) = json.loads(custom_data(episode)["pauses"])
    assert ended - began > 3e8
    wait_for(lambda: recording(graph, messages + 50))
    graph.stop(outcome="success")
    result = result_of(handle)
    assert result.lost == 0
    closed = Episode(episode)
    assert pauses(closed.info) == ((began, ended),)
    stamps = [record.log_ns for record in closed.records()]
    assert not [stamp for stamp in stamps if began < stamp < ended]
    assert max(stamps) > ended
    assert result.duration < (max(stamps) - min(stamps)) * 1e-9 - 0.2


def test_a_duration_does_not_count_the_pause(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    handle = graph.start(duration=0.6)
    wait_for(lambda: recording(graph))
    assert graph.ask("pause").success
    time.sleep(0.8)
    assert graph.recorder.take is not None
    assert graph.ask("resume").success
    result = result_of(handle)
    ((began, ended),) = pauses(Episode(result.path).info)
    assert ended is not None
    assert 0.6 <= result.duration < 0.6 + (ended - began) * 1e-9


def test_a_paused_recording_that_is_stopped_ends_its_pause(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    handle = graph.start()
    wait_for(lambda: recording(graph, 20))
    assert graph.ask("pause").success
    assert graph.stop(outcome="success").success
    ((began, ended),) = pauses(Episode(result_of(handle).path).info)
    assert ended is not None
    assert ended >= began


def test_losses_during_a_pause_are_none(tmp_path: Path, make_graph: Callable[..., Graph]) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    (tap,) = (tap for tap in graph.recorder.taps.all if tap.stream.name == "/cam_high/camera_info")
    hear, data = graph.recorder.taps.listener(tap), bytes(serialize_message(CameraInfo()))
    handle = graph.start()
    wait_for(lambda: recording(graph))
    hear(data, {"publication_sequence_number": 1})
    graph.ask("pause")
    hear(data, {"publication_sequence_number": 9})
    graph.ask("resume")
    hear(data, {"publication_sequence_number": 10})
    wait_for(lambda: recording(graph))
    graph.stop()
    assert result_of(handle).lost == 0


def test_a_camera_that_comes_back_is_told_and_recorded_on(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path, stream_timeout=0.3)
    graph.wait_for_streams()
    (tap,) = (tap for tap in graph.recorder.taps.all if tap.stream.name == IMAGE)
    handle = graph.start()
    wait_for(lambda: recording(graph))
    began_s = time.monotonic()
    wait_for(lambda: tap.heard_s > began_s)
    publisher = graph.robot.images.pop(IMAGE)
    wait_for(lambda: f"nothing from {IMAGE}" in graph.state.message)
    back_ns = time.time_ns()
    graph.robot.images[IMAGE] = publisher
    wait_for(lambda: f"{IMAGE} is back after" in graph.state.message)
    graph.stop(outcome="success")
    episode = Episode(result_of(handle).path)
    stamps = [record.publish_ns for record in episode.records([IMAGE])]
    assert min(stamps) < back_ns < max(stamps)


def test_a_kept_episode_is_labelled_anew(tmp_path: Path, make_graph: Callable[..., Graph]) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    assert "no episode was kept" in graph.label(outcome="success").message
    result = result_of(graph.start(duration=0.1, labels=["first"], seed=7))
    answer = graph.label(outcome="failure", labels=["dropped", "late", "dropped"])
    assert (answer.success, answer.path) == (True, result.path)
    info = Episode(result.path).info
    assert (info.outcome, info.labels, info.seed) == ("failure", ("dropped", "late"), 7)
    wait_for(lambda: graph.state.last_outcome == "failure")
    assert graph.label(path="episode_000000", outcome="success").success
    assert Episode(result.path).info.outcome == "success"
    assert "not known" in graph.label(outcome="splendid").message
    assert "is not an episode" in graph.label(path="episode_000009").message
    handle = graph.start()
    wait_for(lambda: recording(graph))
    assert "is not closed" in graph.label(path="episode_000001").message
    graph.stop()
    result_of(handle)


def test_the_last_episode_is_set_aside_and_its_number_is_not_given_again(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    for _ in range(2):
        assert result_of(graph.start(duration=0.1)).kept
    discarded = graph.ask("discard_last")
    assert discarded.success
    assert discarded.message == f"episode_000001 was moved to {tmp_path / 'discarded'}"
    moved = Episode(tmp_path / "discarded" / "episode_000001")
    assert len(list(moved.records())) > 0
    wait_for(lambda: graph.state.last_path.endswith("episode_000000"))
    assert graph.state.kept == 1
    assert result_of(graph.start(duration=0.1)).path.endswith("episode_000002")
    assert graph.ask("discard_last").success
    assert graph.ask("discard_last").success
    assert "no episode was kept" in graph.ask("discard_last").message
    assert sorted(path.name for path in (tmp_path / "discarded").iterdir()) == [
        f"episode_00000{number}" for number in range(3)
    ]


def test_a_duration_for_which_there_is_no_room_is_refused_in_figures(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    wait_for(lambda: "room for" in graph.state.message)
    result = result_of(graph.start(duration=1e9))
    assert not result.kept
    assert "1e+09 s take" in result.message
    assert "there is room for" in result.message
    wait_for(lambda: "recording refused: 1e+09 s" in graph.state.message)
    assert result_of(graph.start(duration=0.1)).kept
    wait_for(lambda: "refused" not in graph.state.message)


def test_two_publishers_of_one_topic_are_named(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path)
    graph.client.create_publisher(JointState, "/leader_left/joint_states", 5)
    words = "/leader_left/joint_states has 2 publishers, /client and /robot"
    wait_for(lambda: words in graph.state.message)


def test_raw_images_of_another_driver_are_recorded_in_a_cameras_place(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    text = (share_folder() / "config/robots/twin.yaml").read_text()
    robot = yaml.safe_load(text)
    robot["cameras"]["cam_low"]["source"] = "topic:/usb_cam/image_raw"
    file = tmp_path / "robot.yaml"
    file.write_text(yaml.safe_dump(robot))
    graph = make_graph(tmp_path / "episodes", silent=(IMAGE,), robot=str(file))
    graph.wait_for_streams(9)
    assert "/usb_cam/image_raw" in result_of(graph.start()).message
    publisher = graph.client.create_publisher(Image, "/usb_cam/image_raw", BEST_EFFORT)
    image = Image(height=2, width=2, encoding="rgb8", step=6)
    image.data.frombytes(bytes(range(12)))

    def publish() -> None:
        publisher.publish(stamped(image, time.time_ns()))

    wait_for(lambda: publish() or graph.state.silent == [])
    handle = graph.start()
    wait_for(lambda: publish() or recording(graph, 50))
    graph.stop()
    episode = Episode(result_of(handle).path)
    assert json.loads(episode.info.notes["cameras"])["cam_low"] == "/usb_cam/image_raw"
    records = list(episode.records(["/usb_cam/image_raw"]))
    assert len(records) > 0
    assert bytes(episode.decode(records[0]).data) == bytes(range(12))
    assert episode.types["/usb_cam/image_raw"] == "sensor_msgs/msg/Image"
