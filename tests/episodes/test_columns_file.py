"""What is kept beside a recording while it is written is what a reading of the file finds."""

import dataclasses
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aloha_interfaces.msg import ArmStatus, PlayerState, SafetyState, TaskState
from hypothesis import given
from hypothesis import strategies as st
from mcap.stream_reader import StreamReader
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from aloha_stack.episodes import columns_file
from aloha_stack.episodes.cli import main
from aloha_stack.episodes.collector import BLOCK, Collector, ColumnLists
from aloha_stack.episodes.columns_file import ColumnsFile, columns_path, stored_contents
from aloha_stack.episodes.contents import Contents, read_contents
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import frame_indexes
from aloha_stack.episodes.mcap_file import Record
from aloha_stack.episodes.mcap_records import file_end
from aloha_stack.episodes.mcap_walk import Found
from aloha_stack.episodes.metadata import EpisodeInfo, pause_notes
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.repair import repair
from aloha_stack.episodes.said_numbers import KEPT
from aloha_stack.episodes.schema import definition
from aloha_stack.episodes.summary import summarise
from aloha_stack.episodes.thresholds import load_thresholds
from aloha_stack.episodes.writer import EpisodeWriter
from aloha_stack.robot.joints import STATE_JOINTS
from episodes.altered_episodes import altered, with_note
from episodes.broken_files import mcap_of
from episodes.player_states import TOPIC as PLAYER
from episodes.player_states import ticks
from episodes.sample_episodes import (
    START_NS,
    image_bytes,
    joint_bytes,
    jpeg,
    stamped,
    topic,
    write_episode,
)

LEFT, STATUS = "/follower_left/joint_states", "/follower_left/status"
LOW, WRIST = "/cam_low/image_raw/compressed", "/cam_left_wrist/image_raw/compressed"
IMAGE = "sensor_msgs/msg/CompressedImage"


def picture(shade: int) -> bytes:
    """A JPEG with a long comment: of a message so long only the head is read."""
    whole = jpeg(shade)
    return whole[:2] + b"\xff\xfe" + (3002).to_bytes(2, "big") + bytes(3000) + whole[2:]


def shown(record: Record, data: bytes) -> Record:
    return replace(record, data=image_bytes(record.publish_ns, data))


def step(record: Record) -> int:
    return round((record.publish_ns - START_NS) * 1e-7)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")

    def large(record: Record) -> Record:
        return shown(record, picture(step(record))) if record.type == IMAGE else record

    return altered(write_episode(folder / "small", seconds=1.6), folder, large)


def serialised(make: Callable[[int], Any], count: int, period_ns: int) -> list[tuple[int, bytes]]:
    stamps = [START_NS + number * period_ns for number in range(count)]
    return [(s, bytes(serialize_message(stamped(make(n), s)))) for n, s in enumerate(stamps)]


def pictures(change: Callable[[int], bytes | None]) -> Callable[[Record], Record | None]:
    """Each picture of cam_low as `change` has it for its step."""

    def altering(record: Record) -> Record | None:
        if record.topic != LOW:
            return record
        data = change(step(record))
        return None if data is None else shown(record, data)

    return altering


def backwards(record: Record) -> Record:
    """Every tenth picture is stamped as the one long before it."""
    if record.topic != LOW or step(record) % 20 != 10:
        return record
    stamp = record.publish_ns - 90_000_000
    return replace(record, publish_ns=stamp, data=image_bytes(stamp, picture(3)))


def not_finite(record: Record) -> Record:
    if record.topic != LEFT or step(record) != 40:
        return record
    return replace(record, data=joint_bytes(record.publish_ns, [np.nan] * 9, STATE_JOINTS))


def status(number: int) -> Any:
    mode = ArmStatus.HOLDING if 4 < number < 9 else ArmStatus.FOLLOWING
    reason = "no command " * number if mode == ArmStatus.HOLDING else ""
    return ArmStatus(arm="follower_left", mode=mode, reason=reason, clamped_commands=3 * number)


def task(number: int) -> TaskState:
    return TaskState(
        task="cube",
        operator_state="reach" if number < 30 else "done",
        reward=number // 20,
        best_reward=3,
        max_reward=4,
        real_time_factor=0.5 + 0.01 * number,
    )


def raw(number: int) -> Image:
    message = Image(height=4, width=6, encoding="rgb8", step=18)
    size = 72 if number != 7 else 60
    message.data.frombytes(bytes([number // 3] * size))
    return message


EXTRA = {
    STATUS: ("aloha_interfaces/msg/ArmStatus", serialised(status, 16, 100_000_000)),
    "/task/state": ("aloha_interfaces/msg/TaskState", serialised(task, 80, 20_000_000)),
    "/safety/state": (
        "aloha_interfaces/msg/SafetyState",
        serialised(lambda n: SafetyState(e_stopped=n > 25, cause="why " * 900), 32, 50_000_000),
    ),
    PLAYER: ("aloha_interfaces/msg/PlayerState", ticks([(PlayerState.POLICY, 50), (2, 30)])),
    "/words": ("std_msgs/msg/String", [(START_NS, b"\0\1\0\0\1\0\0\0\0")]),
    "/cam_extra/image": ("sensor_msgs/msg/Image", serialised(raw, 80, 20_000_000)),
}
CASES: dict[str, dict[str, Any]] = {
    "good": {},
    "a gap of a follower": {
        "change": lambda r: None if r.topic == LEFT and 50 < step(r) < 90 else r
    },
    "a camera that froze": {"change": pictures(lambda n: picture(min(n, 60)))},
    "a camera that was lost": {"change": pictures(lambda n: picture(n) if n < 60 else None)},
    "a camera that never came": {"change": pictures(lambda n: None)},
    "pictures that are cut": {"change": pictures(lambda n: picture(n)[: -2 if n > 99 else None])},
    "pictures that are filled up": {"change": pictures(lambda n: picture(n // 8) + bytes(n % 7))},
    "pictures out of order": {"change": backwards},
    "numbers that are none": {"change": not_finite},
    "a pause": {"notes": pause_notes([(START_NS + 500_000_000, START_NS + 900_000_000)])},
    "all that may be said": {"extra": EXTRA},
}


VERDICTS = {"good": "good", "a pause": "good", "a camera that never came": "incomplete"}


def made(whole: Path, folder: Path, case: dict[str, Any]) -> Path:
    info = with_note(Episode(whole).info, **case.get("notes", {}))
    extra = case.get("extra", {})
    return altered(
        whole,
        folder,
        case.get("change", lambda record: record),
        info,
        {name: kind for name, (kind, _) in extra.items()},
        {name: messages for name, (_, messages) in extra.items()},
    )


def check_same(found: Any, expected: Any, where: str = "contents") -> None:
    """Also in the order of topics, and in every bit."""
    assert type(found) is type(expected), where
    if isinstance(found, np.ndarray):
        assert found.dtype == expected.dtype, where
        np.testing.assert_array_equal(found, expected, where)
    elif isinstance(found, dict):
        assert list(found) == list(expected), where
        for name in found:
            check_same(found[name], expected[name], f"{where}[{name}]")
    elif dataclasses.is_dataclass(found):
        for each in dataclasses.fields(found):
            if each.name not in ("repeats", "whole"):  # the summary has what comes of them
                name = each.name
                check_same(getattr(found, name), getattr(expected, name), f"{where}.{name}")
    else:
        assert found == expected, where


@pytest.mark.parametrize("name", CASES)
def test_contents_and_verdict_are_those_of_a_reading(
    whole: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(whole, tmp_path, CASES[name])
    file = mcap_of(path)
    kept = stored_contents(file)
    assert kept is not None
    check_same(kept, read_contents([file]))
    expected = summarise(Episode(path, recompute=True))
    indexes = frame_indexes(Episode(path, recompute=True))
    looks = {c: (i.repeated().tolist(), i.broken().tolist()) for c, i in indexes.items()}
    strict = replace(load_thresholds(), moving_rad_s=0.01, camera_hz=70.0, shortest_s=3.0)
    stricter = summarise(Episode(path, recompute=True), strict)
    monkeypatch.setattr("aloha_stack.episodes.reader.read_contents", None)  # nobody reads the file
    assert summarise(Episode(path)) == expected
    assert summarise(Episode(path), strict) == stricter
    assert any("(at least 3 s)" in reason for reason in stricter.reasons)
    for camera, index in frame_indexes(Episode(path)).items():
        assert (index.repeated().tolist(), index.broken().tolist()) == looks[camera]
    assert expected.verdict == VERDICTS.get(name, "flawed")


def test_many_blocks_are_the_same_as_one(tmp_path: Path) -> None:
    """And no more than one block of a topic is ever in memory."""
    writer = EpisodeWriter(tmp_path, [topic("/a"), topic(LOW, IMAGE)], EpisodeInfo())
    for number in range(2 * BLOCK + 100):
        at = START_NS + number * 10_000_000
        writer.write("/a", joint_bytes(at, [0.001 * number] * 7), at + 5, at, number + 1)
        if number % 2:
            writer.write(LOW, image_bytes(at, picture(number // 5)), at, at, number)
        waiting = writer._columns._collector._topics
        assert all(each.waiting < BLOCK for each in waiting.values())
    file = mcap_of(writer.finish("success"))
    kept = stored_contents(file)
    assert kept is not None
    check_same(kept, read_contents([file]))
    assert kept.joints["/a"].position.shape == (2 * BLOCK + 100, 7)


def test_the_places_of_pictures_are_theirs_across_chunks(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic(LOW, IMAGE)], EpisodeInfo(), chunk_bytes=9000)
    for number in range(20):
        at = START_NS + number * 10_000_000
        writer.write(LOW, image_bytes(at, picture(number)), at, at, number)
    path = writer.finish("success")
    index = frame_indexes(Episode(path))["cam_low"]
    assert [index.picture(number) for number in range(20)] == [picture(n) for n in range(20)]


def test_the_checksum_of_all_data_stands_in_the_file(whole: Path) -> None:
    """It ties what is beside a file to its bytes, and a plain reader can compare it."""
    with mcap_of(whole).open("rb") as file:
        end = file_end(file.fileno())
        assert end is not None
        assert end.data_crc != 0
        file.seek(0)
        assert len(list(StreamReader(file, validate_crcs=True).records)) > 10


def changed(text: bytes, **values: Any) -> bytes:
    """The same columns with another index, whole in itself."""
    begin, length, _, magic = columns_file._END.unpack(text[-columns_file._END.size :])
    index = json.loads(text[begin : begin + length]) | values
    data = json.dumps(index).encode()
    end = columns_file._END.pack(begin, len(data), zlib.crc32(data), magic)
    return text[:begin] + data + end


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
        lambda data: data[:300] + bytes([data[300] ^ 1]) + data[301:],
        lambda data: data[:1000] + bytes(4096) + data[5096:],  # a loss of power
        lambda data: changed(data, format=columns_file.FORMAT + 1),
        lambda data: changed(data, kept={}),
        lambda data: changed(data, mcap={"size": 1, "data_crc": 2, "summary_crc": 3}),
    ],
)
def test_columns_that_are_not_whole_or_of_other_rules_count_for_nothing(
    whole: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "episode_000000"
    shutil.copytree(whole, path)
    assert stored_contents(mcap_of(path)) is not None  # in another folder they are as good
    beside = columns_path(mcap_of(path))
    beside.write_bytes(spoil(beside.read_bytes()))
    assert stored_contents(mcap_of(path)) is None
    assert summarise(path).verdict == "good"


def test_columns_of_another_recording_count_for_nothing(whole: Path, tmp_path: Path) -> None:
    """Even of one that is alike in every size, time and count."""

    def moved(record: Record) -> Record:
        if record.topic != LEFT:
            return record
        return replace(record, data=joint_bytes(record.publish_ns, [9.0] * 9, STATE_JOINTS))

    path, other = altered(whole, tmp_path / "a", not_finite), altered(whole, tmp_path / "b", moved)
    assert mcap_of(path).stat().st_size == mcap_of(other).stat().st_size
    shutil.copy(columns_path(mcap_of(other)), columns_path(mcap_of(path)))
    assert stored_contents(mcap_of(path)) is None


def lie(whole: Path, folder: Path) -> Path:
    """An episode beside which lies what is not true, and says that it belongs to it."""
    path = altered(whole, folder / "lie")
    other = altered(whole, folder / "other", not_finite)
    index = columns_path(mcap_of(path)).read_bytes()
    begin, length, *_ = columns_file._END.unpack(index[-columns_file._END.size :])
    belongs = json.loads(index[begin : begin + length])["mcap"]
    beside = columns_path(mcap_of(other)).read_bytes()
    columns_path(mcap_of(path)).write_bytes(changed(beside, mcap=belongs))
    return path


def test_list_takes_what_was_kept_and_verify_and_inspect_the_file_itself(
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aloha_stack.analysis.inspecting.draw", lambda *_: [])
    path = str(lie(whole, tmp_path))
    words = "1 messages of /follower_left/joint_states hold positions that are no numbers"
    assert main(["list", path]) == 0
    assert words in capsys.readouterr().out
    assert main(["list", path, "--verify"]) == 0
    assert main(["inspect", path, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert words not in said
    assert "episode_000000: good" in said


def test_a_file_that_was_cut_off_is_read_and_repaired_without_them(
    whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "episode_000000"
    shutil.copytree(whole, path)
    file = mcap_of(path)
    file.write_bytes(file.read_bytes()[:-3000])
    assert stored_contents(file) is None
    assert summarise(path).verdict == "incomplete"
    repair(path)
    assert not columns_path(file).exists()
    assert Episode(path).closed
    assert summarise(path).repaired


def test_nothing_that_befalls_the_columns_befalls_the_recording(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when they are begun, in between, or at the end."""

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("__init__", "add", "finish"):
        with monkeypatch.context() as patch:
            patch.setattr(ColumnsFile, name, full)
            path = altered(whole, tmp_path / name)
        assert not columns_path(mcap_of(path)).exists()
        assert summarise(path).verdict == "good"


@pytest.mark.parametrize("place", [0, 5, BLOCK + 5])
def test_a_message_that_does_not_fit_its_type_is_recorded_and_named_when_it_is_read(
    tmp_path: Path, place: int
) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a")], EpisodeInfo())
    for number in range(BLOCK + 10):
        data = b"\0\1\0\0nonsense" if number == place else joint_bytes(number, [0.1] * 7)
        writer.write("/a", data, number, number, number + 1)
    path = writer.finish("success")
    assert len(list(Episode(path).records())) == BLOCK + 10
    assert not columns_path(mcap_of(path)).exists()
    with pytest.raises(EpisodeError, match="a message of /a does not fit its type"):
        Episode(path).contents()


TYPES = ("sensor_msgs/msg/JointState", IMAGE, "sensor_msgs/msg/Image", *KEPT)
DEFINITIONS = {kind: definition(kind) for kind in TYPES}


@given(
    kind=st.sampled_from(TYPES),
    bodies=st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.builds(
                lambda at, put: image_bytes(5, picture(1))[:at] + put,
                st.integers(0, 80),
                st.binary(max_size=60),
            ),
            st.builds(
                lambda counts, rest: b"\0\1\0\0" + struct.pack("<4I", *counts) + rest,
                st.lists(st.integers(0, 9), min_size=4, max_size=4),
                st.binary(max_size=120),
            ),
        ),
        max_size=6,
    ),
)
def test_whatever_bytes_come_there_is_no_other_error(kind: str, bodies: list[bytes]) -> None:
    """Else the recorder's thread would die of a message."""
    collector = Collector(ColumnLists())
    known = collector.topic("/a", kind, DEFINITIONS[kind])
    with suppress(EpisodeError):
        for number, body in enumerate(bodies):
            found = Found(0, number, number, 100 * number, len(body), body)
            collector.take(known, Path("a"), found)
        collector.end()


def test_fields_are_found_by_the_files_own_definition(tmp_path: Path) -> None:
    """The types may have grown, or lack what was added later."""
    lists = ColumnLists()
    collector = Collector(lists)
    text = "uint8 A=1 # one\n\nstd_msgs/Header header\nint16 new\nstring arm # words\nuint8 mode\n"
    known = collector.topic("/a", "aloha_interfaces/msg/ArmStatus", text)
    body = b"\0\1\0\0" + bytes(8) + b"\1\0\0\0\0\0" + b"\7\0" + b"\3\0\0\0ab\0" + b"\5"
    collector.take(known, tmp_path, Found(0, 1, 1, 0, len(body), body))
    collector.end()
    columns = lists.columns()["/a"]
    assert columns["mode"].tolist() == [5]
    assert set(columns) == {"stamps_ns", "mode"}


def test_contents_name_every_topic_also_without_a_message(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, [topic("/a"), topic(LOW, IMAGE)], EpisodeInfo())
    path = writer.finish("success")
    contents: Contents = Episode(path).contents()
    assert list(contents.types) == ["/a", LOW]
    assert stored_contents(mcap_of(path)) is not None
