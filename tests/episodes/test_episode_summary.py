"""The figures of an episode, and the command that lists them."""

import json
import shutil
from pathlib import Path

import pytest
from aloha_interfaces.msg import TaskState
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message

from aloha_stack.episodes.cli import main
from aloha_stack.episodes.losses import SequenceCounter
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.summary import summarise
from aloha_stack.episodes.writer import EpisodeWriter
from episodes.sample_episodes import joint_bytes, stamped, topic, write_episode


def test_a_whole_episode_is_good_with_its_rates_and_steps(tmp_path: Path) -> None:
    summary = summarise(write_episode(tmp_path, seconds=2.0))
    streams = {stream.topic: stream for stream in summary.streams}
    assert streams["/leader_left/joint_states"].rate_hz == pytest.approx(100.0)
    assert streams["/cam_high/image_raw/compressed"].rate_hz == pytest.approx(50.0)
    assert [camera.messages for camera in summary.cameras] == [100] * 4
    assert summary.steps == 99  # the action of a step is the command one step later
    assert summary.duration_s == pytest.approx(1.99)
    assert (summary.verdict, summary.reasons, summary.lost) == ("good", (), 0)
    assert (summary.task, summary.seed, summary.outcome) == ("transfer_cube", 3, "success")


def test_skew_is_the_distance_of_pictures_from_joint_states(tmp_path: Path) -> None:
    summary = summarise(write_episode(tmp_path, camera_delay_ns=4_000_000))
    assert summary.skew is not None
    assert summary.skew.median_ms == pytest.approx(4.0)
    assert summary.skew.max_ms >= summary.skew.median_ms


def test_losses_are_a_flaw_and_name_the_stream(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=2.0, lost={"/cam_low/image_raw/compressed": 3})
    summary = summarise(path)
    assert summary.lost == 3
    assert summary.verdict == "flawed"
    assert summary.reasons == ("3 lost on /cam_low/image_raw/compressed (2.91 %)",)


def test_a_silent_stream_makes_an_episode_incomplete(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a"), topic("/b")], EpisodeInfo())
    writer.write("/a", joint_bytes(0, range(7)), 0, 0)
    summary = summarise(writer.finish("success"))
    assert summary.verdict == "incomplete"
    assert summary.reasons[0] == "nothing was received on /b"
    assert summary.steps == 0


def test_reward_and_speed_come_from_the_task_state(tmp_path: Path) -> None:
    kind = "aloha_interfaces/msg/TaskState"
    writer = EpisodeWriter(tmp_path, [topic("/a"), topic("/task/state", kind)], EpisodeInfo())
    for step, reward in enumerate([0, 2, 4, 3]):
        state = TaskState(reward=reward, best_reward=min(2 * step, 4), max_reward=4)
        state.real_time_factor = 0.5
        data = serialize_message(stamped(state, step))
        writer.write("/task/state", bytes(data), step, step)
        writer.write("/a", joint_bytes(step, range(7)), step, step)
    summary = summarise(writer.finish("success"))
    assert (summary.final_reward, summary.best_reward, summary.max_reward) == (3, 4, 4)
    assert summary.real_time_factor == 0.5


@given(
    numbers=st.lists(st.integers(1, 60), unique=True, min_size=2).map(sorted),
)
def test_every_gap_in_the_numbers_is_counted(numbers: list[int]) -> None:
    counter = SequenceCounter()
    missed = [counter.saw(number) for number in numbers]
    assert counter.lost == sum(missed) == numbers[-1] - numbers[0] + 1 - len(numbers)
    assert missed[0] == 0


def test_a_publisher_that_starts_again_is_no_loss() -> None:
    counter = SequenceCounter()
    for number in (7, 8, 1, 2, 4):
        counter.saw(number)
    assert counter.lost == 1
    assert counter.saw(None) == 0


def test_list_prints_a_row_per_episode_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(tmp_path / "data", seconds=1.2)
    broken = write_episode(tmp_path / "data", seconds=0.1)
    (broken / "metadata.yaml").write_text("nonsense")
    (tmp_path / "live").mkdir()
    live = EpisodeWriter(tmp_path / "live", [topic("/a")], EpisodeInfo(task="insertion"))
    live.flush()
    shutil.copytree(live.path, tmp_path / "data" / "episode_000002")
    file = tmp_path / "list.json"
    assert main(["list", str(tmp_path / "data"), "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "episode_000000  transfer_cube" in printed
    assert "1 good, 1 incomplete, 1 damaged" in printed
    assert "episode_000002: the recorder ended before the episode did" in printed
    rows = json.loads(file.read_text())
    assert [row["verdict"] for row in rows] == ["good", "damaged", "incomplete"]
    assert [row["task"] for row in rows] == ["transfer_cube", "", "insertion"]
    assert rows[0]["steps"] == 59
    assert rows[0]["path"] == str(tmp_path / "data" / "episode_000000")
    assert "not the metadata of a bag" in rows[1]["reasons"][0]
    live.discard()


def test_an_unknown_folder_is_named_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
