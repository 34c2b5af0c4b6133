"""`./aloha episodes list` has a row for whatever lies in the folder, and never a traceback."""

import json
import shutil
from pathlib import Path

import pytest
from mcap.writer import CompressionType

from aloha_stack.episodes.cli import main
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.qos import Qos
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.share import share_folder
from episodes.altered_episodes import compress
from episodes.sample_episodes import joint_bytes, topic, write_episode


def foreign(directory: Path) -> Path:
    """A bag of another robot, as rosbag2 leaves it: without custom data."""
    topics = [topic("/ur5/joint_states"), topic("/scan", "sensor_msgs/msg/JointState", Qos())]
    writer = EpisodeWriter(directory, topics, EpisodeInfo())
    for step in range(200):
        stamp = step * 10_000_000
        writer.write("/ur5/joint_states", joint_bytes(stamp, [0.1] * 7), stamp, stamp)
    path = writer.finish("")
    text = (path / "metadata.yaml").read_text()
    (path / "metadata.yaml").write_text(text[: text.index("  custom_data:")])
    return path


def test_every_bad_episode_is_named_and_the_good_ones_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    write_episode(data, seconds=1.2)
    foreign(data)
    compress(write_episode(data, seconds=1.2), CompressionType.ZSTD)
    compress(write_episode(data, seconds=1.2), CompressionType.LZ4)
    for content in (b"", b"no MCAP at all" * 9, None):
        path = write_episode(data, seconds=0.1)
        (file,) = path.glob("*.mcap")
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
    cut = write_episode(data, seconds=1.2)
    (file,) = cut.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:-2000])
    (data / "episode_000008").mkdir()
    (data / "notes.txt").write_text("no episode")
    write_episode(data, seconds=1.2)
    report = tmp_path / "list.json"
    assert main(["list", str(data), "--json", str(report)]) == 0
    rows = json.loads(report.read_text())
    assert [row["verdict"] for row in rows] == [
        *("good", "incomplete", "incomplete", "incomplete"),
        *("damaged", "damaged", "damaged", "incomplete", "damaged", "good"),
    ]
    reasons = [" ".join(row["reasons"]) for row in rows]
    assert "nothing was received on /scan" in reasons[1]
    for compressed in reasons[2:4]:
        assert "compressed chunks" in compressed
        assert "mcap decompress" in compressed
    assert rows[2]["messages"] == rows[0]["messages"]
    assert "is not an MCAP file (0 bytes)" in reasons[4]
    assert "is not an MCAP file" in reasons[5]
    assert "cannot be opened" in reasons[6]
    assert "breaks off" in reasons[7]
    assert "is not an episode: it has no metadata.yaml" in reasons[8]
    printed = capsys.readouterr().out
    assert printed.count("episode_000004") >= 2  # a row, and its reason below
    assert "2 good, 4 incomplete, 4 damaged" in printed


def test_a_robot_without_the_followers_is_named(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    report = tmp_path / "list.json"
    file = next(path.glob("*.mcap"))
    text = (path / "metadata.yaml").read_text()
    (path / "metadata.yaml").write_text(text.replace("name: /scan", "name: /ur5/joint_states"))
    assert main(["list", str(file.parent.parent), "--json", str(report)]) == 0
    (row,) = json.loads(report.read_text())
    assert "nothing of /follower_left/joint_states" in row["reasons"][0]
    assert "it has /ur5/joint_states" in row["reasons"][0]


def test_own_thresholds_decide_and_bad_ones_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode(tmp_path / "data", seconds=0.5)
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        (share_folder() / "config/quality.yaml")
        .read_text()
        .replace("shortest_s: 1.0", "shortest_s: 0.1")
    )
    assert main(["list", str(tmp_path / "data"), "--thresholds", str(mine)]) == 0
    assert "1 good" in capsys.readouterr().out
    mine.write_text("joint_hz: fast")
    assert main(["list", str(tmp_path / "data"), "--thresholds", str(mine)]) == 2
    assert f"{mine}: " in capsys.readouterr().err


def test_verify_finds_what_only_the_checksums_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_episode(tmp_path, seconds=1.2)
    table = Episode(path).contents().pictures["/cam_low/image_raw/compressed"]
    assert table.file is not None
    with table.file.open("r+b") as file:
        file.seek(int(table.offset[10]) + 200)
        file.write(b"\x55\x55")
    assert main(["list", str(tmp_path)]) == 0
    assert "1 good" in capsys.readouterr().out
    assert main(["list", str(tmp_path), "--verify"]) == 0
    assert "the checksum of a chunk does not fit" in capsys.readouterr().out


def test_an_episode_that_is_being_recorded_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/follower_left/joint_states")], EpisodeInfo())
    for step in range(9):
        stamp = step * 10_000_000
        data = joint_bytes(stamp, [0.1] * 7)
        writer.write("/follower_left/joint_states", data, stamp, stamp)
    writer.flush()
    assert main(["list", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "episode_000000: it is being recorded right now" in said
    assert "repair" not in said
    unfinished = shutil.copytree(writer.path, tmp_path / "copy" / "episode_000000")
    writer.finish("")
    assert main(["list", str(unfinished.parent)]) == 0
    assert "./aloha episodes repair closes it" in capsys.readouterr().out


def test_an_episode_itself_is_listed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_episode(tmp_path / "data", seconds=1.2)
    assert main(["list", str(path)]) == 0
    assert "episode_000000" in capsys.readouterr().out


def test_a_listing_changes_nothing(tmp_path: Path) -> None:
    path = write_episode(tmp_path / "data", seconds=0.2)
    copy = shutil.copytree(path, tmp_path / "copy")
    main(["list", str(tmp_path / "data"), "--verify"])
    assert {f.name: f.read_bytes() for f in path.iterdir()} == {
        f.name: f.read_bytes() for f in copy.iterdir()
    }


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        ([], 2, "./aloha episodes list out"),
        (["--help"], 0, "./aloha episodes inspect out/episode_000000"),
        (["lst"], 2, "there is no command 'lst'; there are: generate, list, inspect"),
    ],
)
def test_the_overview_names_every_command(
    argv: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == status
    printed = capsys.readouterr()
    assert words in printed.out + printed.err
