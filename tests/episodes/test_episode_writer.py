"""An episode on disk is a rosbag2 bag whose messages are, byte for byte, those received."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from aloha_stack.episodes.errors import EpisodeError, FolderError
from aloha_stack.episodes.folder import check_folder, next_episode
from aloha_stack.episodes.metadata import EpisodeInfo, read_metadata
from aloha_stack.episodes.qos import Qos
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.writer import EpisodeWriter
from episodes.sample_episodes import joint_bytes, topic, write_episode
from open_files import open_files


def test_messages_come_back_byte_for_byte_with_their_times(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a"), topic("/b")], EpisodeInfo())
    sent = [joint_bytes(step * 1_000, range(7)) for step in range(20)]
    for step, data in enumerate(sent):
        writer.write("/a" if step % 2 else "/b", data, 5_000 + step, step * 1_000, step + 1)
    path = writer.finish("success")
    with (path / f"{path.name}_0.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        assert reader.get_header().profile == "ros2"
        got = list(reader.iter_decoded_messages())
    assert [bytes(item.message.data) for item in got] == sent
    assert [item.message.log_time for item in got] == [5_000 + step for step in range(20)]
    assert [item.message.publish_time for item in got] == [step * 1_000 for step in range(20)]
    assert [item.message.sequence for item in got] == list(range(1, 21))
    assert {item.channel.topic for item in got} == {"/a", "/b"}
    assert all(item.schema and item.schema.encoding == "ros2msg" for item in got)
    assert got[3].decoded_message.position == list(map(float, range(7)))


def test_channels_carry_the_offered_qos_as_rosbag2_writes_it(tmp_path: Path) -> None:
    offered = Qos("best_effort", "transient_local", depth=9)
    writer = EpisodeWriter(tmp_path, [topic("/a", qos=offered)], EpisodeInfo())
    writer.write("/a", joint_bytes(0, range(7)), 1, 0)
    path = writer.finish("")
    with (path / f"{path.name}_0.mcap").open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    (channel,) = summary.channels.values()
    assert channel.message_encoding == "cdr"
    assert channel.metadata["topic_type_hash"].startswith("RIHS01_")
    (profile,) = yaml.safe_load(channel.metadata["offered_qos_profiles"])
    infinite = {"sec": 9223372036, "nsec": 854775807}
    assert profile == {
        "history": "keep_last",
        "depth": 9,
        "reliability": "best_effort",
        "durability": "transient_local",
        "deadline": infinite,
        "lifespan": infinite,
        "liveliness": "automatic",
        "liveliness_lease_duration": infinite,
        "avoid_ros_namespace_conventions": False,
    }


def test_metadata_has_rosbag2s_fields_and_the_episodes_data_as_strings(tmp_path: Path) -> None:
    path = write_episode(tmp_path, lost={"/cam_high/image_raw/compressed": 2})
    document = yaml.safe_load((path / "metadata.yaml").read_text())
    bag = document["rosbag2_bagfile_information"]
    assert list(bag) == [
        "version",
        "storage_identifier",
        "duration",
        "starting_time",
        "message_count",
        "topics_with_message_count",
        "compression_format",
        "compression_mode",
        "relative_file_paths",
        "files",
        "custom_data",
        "ros_distro",
    ]
    assert (bag["version"], bag["storage_identifier"]) == (9, "mcap")
    assert bag["message_count"] == 6 * 100 + 4 * 50
    assert bag["starting_time"]["nanoseconds_since_epoch"] == 1_000_000_000
    assert bag["duration"]["nanoseconds"] == 991_000_000
    assert bag["relative_file_paths"] == ["episode_000000_0.mcap"]
    assert bag["files"][0]["message_count"] == bag["message_count"]
    counts = {
        entry["topic_metadata"]["name"]: entry["message_count"]
        for entry in bag["topics_with_message_count"]
    }
    assert counts["/follower_left/command_executed"] == 100
    assert counts["/cam_low/image_raw/compressed"] == 50
    custom = bag["custom_data"]
    assert all(isinstance(value, str) for value in custom.values())
    assert (custom["task"], custom["seed"], custom["outcome"]) == ("transfer_cube", "3", "success")
    assert custom["labels"] == '["test"]'
    assert custom["lost"] == '{"/cam_high/image_raw/compressed": 2}'


def test_an_episode_that_is_being_recorded_says_so_from_the_start(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo(task="insertion"))
    custom = read_metadata(writer.path)["custom_data"]
    assert (custom["outcome"], custom["task"]) == ("recording", "insertion")
    writer.finish("failure")
    assert read_metadata(writer.path)["custom_data"]["outcome"] == "failure"
    assert sorted(item.name for item in writer.path.iterdir()) == [
        "episode_000000_0.columns",
        "episode_000000_0.mcap",
        "metadata.yaml",
    ]


def test_numbers_continue_after_the_highest_and_discard_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "episode_000041").mkdir()
    (tmp_path / "episode_last").mkdir()
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo())
    assert writer.path.name == "episode_000042"
    writer.write("/a", joint_bytes(0, range(7)), 1, 0)
    writer.discard()
    assert not writer.path.exists()
    assert next_episode(tmp_path).name == "episode_000042"


def test_a_message_of_an_unknown_topic_or_after_the_end_is_refused(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo())
    with pytest.raises(EpisodeError, match="/b is not of this episode; it has /a"):
        writer.write("/b", b"", 0, 0)
    writer.finish("")
    with pytest.raises(EpisodeError, match="closed"):
        writer.write("/a", b"", 0, 0)


KILLED = """
import sys, time
from pathlib import Path
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.writer import EpisodeWriter
from episodes.sample_episodes import joint_bytes, topic
writer = EpisodeWriter(Path(sys.argv[1]), [topic("/a")], EpisodeInfo(), flush_interval_s=0.05)
step = 0
while True:
    writer.write("/a", joint_bytes(step, range(7)), step, step, step)
    step += 1
    print(step, flush=True)
    time.sleep(0.002)
"""


def test_kill_9_costs_no_more_than_the_last_interval(tmp_path: Path) -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdout is not None
    while int(process.stdout.readline()) < 150:
        pass
    process.send_signal(signal.SIGKILL)
    written = max([150, *map(int, process.stdout.read().split())])
    process.wait()
    episode = Episode(tmp_path / "episode_000000")
    records = list(episode.records())
    assert [record.sequence for record in records] == list(range(len(records)))
    # At most one interval (0.05 s, at 2 ms or more apiece) was not flushed yet.
    assert written - 26 <= len(records) <= written + 1
    assert not episode.closed
    assert episode.info.outcome == "recording"


def test_flushing_does_not_wait_for_the_next_message(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo(), flush_interval_s=0.01)
    writer.write("/a", joint_bytes(0, range(7)), 0, 0)
    time.sleep(0.02)
    writer.flush_if_due()
    assert len(list(Episode(writer.path).records())) == 1
    writer.discard()


def test_an_episode_that_cannot_begin_leaves_neither_folder_nor_open_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("aloha_stack.episodes.writer.write_metadata", full)
    with pytest.raises(OSError, match="No space left"):
        EpisodeWriter(tmp_path, [topic("/x")], EpisodeInfo())
    assert not [file for file in open_files() if file.startswith(str(tmp_path))]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(FolderError, match=r"out cannot be made.*choose another"):
        check_folder(tmp_path / "out", 0.0)
    with pytest.raises(FolderError, match=r"cannot be made"):
        check_folder(tmp_path / "out" / "deeper", 0.0)


def test_a_folder_that_cannot_be_written_to_is_named() -> None:
    with pytest.raises(FolderError, match=r"/proc/self/fdinfo cannot be written to.*permissions"):
        check_folder(Path("/proc/self/fdinfo"), 0.0)


def test_a_full_disk_is_named_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"too full.*1000000000\.00 GiB are needed"):
        check_folder(tmp_path / "new", 1e9)
