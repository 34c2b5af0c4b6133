"""One pass that reads no picture finds the same as a full reading, whatever the file is like."""

import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from aloha_stack.episodes.contents import read_contents
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.joint_columns import JointColumns, joint_stream
from aloha_stack.episodes.mcap_walk import McapWalk
from aloha_stack.episodes.reader import Episode
from episodes.altered_episodes import altered, compress
from episodes.sample_episodes import START_NS, joint_bytes, stamped, write_episode

LEFT = "/follower_left/joint_states"


def in_full(path: Path) -> dict[str, list[float]]:
    """Every stream's positions and stamps, through the generic decoder."""
    episode = Episode(path)
    found: dict[str, list] = {}
    for record in episode.records():
        message = episode.decode(record)
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        found.setdefault(record.topic, []).append((stamp, *getattr(message, "position", ())))
    return found


@pytest.mark.parametrize("compression", [None, CompressionType.LZ4, CompressionType.ZSTD])
def test_the_pass_finds_what_a_full_reading_finds(
    tmp_path: Path, compression: CompressionType | None
) -> None:
    path = write_episode(tmp_path, seconds=0.4)
    if compression is not None:
        compress(path, compression)
    contents = Episode(path).contents()
    full = in_full(path)
    assert set(full) == set(contents.stamps_ns)
    for topic, rows in full.items():
        assert list(contents.stamps_ns[topic]) == [row[0] for row in rows]
        if topic in contents.joints:
            np.testing.assert_array_equal(contents.joints[topic].position, [r[1:] for r in rows])
    assert contents.closed


def test_unchunked_files_are_read_too(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.2)
    expected = in_full(path)
    (file,) = path.glob("*.mcap")
    records = list(Episode(path).records())
    with file.open("wb") as out:
        writer = Writer(out, use_chunking=False)
        writer.start(profile="ros2", library="test")
        channels = {}
        for r in records:
            if r.topic not in channels:
                schema = writer.register_schema(r.schema.name, r.schema.encoding, r.schema.data)
                channels[r.topic] = writer.register_channel(r.topic, "cdr", schema)
            writer.add_message(channels[r.topic], r.log_ns, r.data, r.publish_ns, r.sequence)
        writer.finish()
    contents = Episode(path).contents()
    assert {t: len(s) for t, s in contents.stamps_ns.items()} == {
        t: len(rows) for t, rows in expected.items()
    }
    assert contents.closed


def body(order: str, names: list[str], numbers: list[list[float]], padding: int) -> bytes:
    """A JointState as CDR, with `padding` in every byte that nobody reads."""
    out = bytearray([0, 1 if order == "<" else 0, padding, padding])

    def align(width: int) -> None:
        while (len(out) - 4) % width:
            out.append(padding)

    def count(value: int) -> None:
        align(4)
        out.extend(struct.pack(f"{order}I", value))

    def text(value: str) -> None:
        count(len(value) + 1)
        out.extend(value.encode() + b"\0")

    out.extend(struct.pack(f"{order}iI", 12, 500))
    text("frame")
    count(len(names))
    for name in names:
        text(name)
    for row in numbers:
        count(len(row))
        align(8) if row else None
        out.extend(struct.pack(f"{order}{len(row)}d", *row))
    return bytes(out)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("<>"),
            st.lists(st.floats(-9, 9), min_size=3, max_size=3),
            st.booleans(),
            st.integers(0, 255),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_byte_order_padding_and_empty_fields_may_change_from_message_to_message(rows) -> None:
    names = ["waist", "a_long_name", "x"]
    columns = JointColumns("/a")
    for order, values, with_velocity, padding in rows:
        numbers = [values, values if with_velocity else [], []]
        encapsulated = bytearray(body(order, names, numbers, padding))
        encapsulated[2:4] = b"\0\0"
        columns.add(bytes(encapsulated))
    taken = columns.take()
    assert columns.names is not None
    stream = joint_stream("/a", columns.names, taken)
    assert stream.names == tuple(names)
    np.testing.assert_array_equal(stream.position, [row[1] for row in rows])
    for got, row in zip(stream.velocity, rows, strict=True):
        np.testing.assert_array_equal(got, row[1] if row[2] else [np.nan] * 3)
    assert (stream.stamps_ns == 12_000_000_500).all()
    assert np.isnan(stream.effort).all()


@given(data=st.binary(max_size=60))
def test_bytes_that_are_no_joint_state_are_named(data: bytes) -> None:
    columns = JointColumns("/a")
    columns.add(data)
    with pytest.raises(EpisodeError, match="/a"):
        columns.take()


def test_positions_of_another_number_than_joints_are_named(tmp_path: Path) -> None:
    def short(record):
        if record.topic != LEFT:
            return record
        message = stamped(JointState(name=["a", "b"], position=[1.0]), record.publish_ns)
        return replace(record, data=bytes(serialize_message(message)))

    path = altered(write_episode(tmp_path / "a", seconds=0.1), tmp_path / "b", short)
    with pytest.raises(EpisodeError, match=f"mcap: {LEFT} has a position of another length"):
        Episode(path).contents()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_give_an_episode_error_or_whole_messages(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.getbasetemp() / "damage"
    source = directory / "episode_000000"
    if not source.exists():
        write_episode(directory, seconds=0.06)
    content = bytearray(next(source.glob("*.mcap")).read_bytes())
    length = data.draw(st.integers(0, len(content)))
    content = content[:length] if data.draw(st.booleans()) else content
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] = data.draw(st.integers(0, 255))
    file = directory / "damaged.mcap"
    file.write_bytes(content)
    with suppress(EpisodeError):
        read_contents([file])


def test_a_file_that_breaks_off_ends_with_its_last_whole_chunk(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.2)
    (file,) = path.glob("*.mcap")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    episode = Episode(path)
    assert not episode.closed
    assert all(len(stamps) == 0 for stamps in episode.contents().stamps_ns.values())
    file.write_bytes(content[:-1])
    whole = Episode(path)
    assert not whole.closed
    assert len(whole.contents().stamps_ns[LEFT]) == 20


def test_changed_bytes_of_a_picture_are_found_on_request(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.2)
    (file,) = path.glob("*.mcap")
    table = Episode(path).contents().pictures["/cam_low/image_raw/compressed"]
    content = bytearray(file.read_bytes())
    content[int(table.offset[3]) + 40] ^= 0xFF
    file.write_bytes(content)
    assert Episode(path).contents().closed
    with pytest.raises(EpisodeError, match="the checksum of a chunk does not fit"):
        Episode(path).contents(verify=True)


def test_pictures_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = write_episode(tmp_path, seconds=0.4)
    path = altered(big, tmp_path / "big", lambda r: replace(r, data=padded(r)))
    size = next(path.glob("*.mcap")).stat().st_size
    taken = 0
    plain = McapWalk._pread

    def counted(self: McapWalk, position: int, count: int) -> bytes:
        nonlocal taken
        found = plain(self, position, count)
        taken += len(found)
        return found

    monkeypatch.setattr(McapWalk, "_pread", counted)
    assert len(Episode(path).contents().stamps_ns[LEFT]) == 40
    assert taken < size / 3


def padded(record) -> bytes:
    """Pictures of 400 kB, as to the length that the message tells."""
    if not record.topic.startswith("/cam"):
        return record.data
    data = bytearray(record.data)
    at = data.index(b"\xff\xd8")
    data[at - 4 : at] = struct.pack("<I", 400_000)
    return bytes(data[:at]).ljust(at + 400_000, b"\x55")


def test_a_topic_of_two_types_is_named(tmp_path: Path) -> None:
    path = write_episode(tmp_path, seconds=0.05)
    (file,) = path.glob("*.mcap")
    first = next(iter(Episode(path).records()))
    with file.open("wb") as out:
        writer = Writer(out)
        writer.start(profile="ros2", library="test")
        for number, name in enumerate((first.type, "std_msgs/msg/String")):
            schema = writer.register_schema(name, "ros2msg", b"string data")
            channel = writer.register_channel("/a", "cdr", schema, {"n": str(number)})
            writer.add_message(channel, 0, joint_bytes(START_NS, [0.0] * 7), 0)
        writer.finish()
    with pytest.raises(EpisodeError, match="topic /a is of two types"):
        Episode(path).contents()
