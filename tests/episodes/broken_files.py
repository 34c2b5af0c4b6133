"""Files as a dead recorder leaves them, and what a plain MCAP reader finds in a file."""

import random
from pathlib import Path

from mcap.reader import make_reader
from mcap.stream_reader import StreamReader

from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.writer import EpisodeWriter
from episodes.sample_episodes import topic

TOPICS = ("/a", "/b", "/c")


class Written:
    """An episode, the messages that were written, and where each ends in its file."""

    def __init__(self, path: Path, messages: tuple[bytes, ...], ends: tuple[int, ...]) -> None:
        self.path, self.messages, self.ends = path, messages, ends

    @property
    def note_end(self) -> int:
        """Where the copy of the metadata ends, and with it the data."""
        data_end = bytes([15, 4, 0, 0, 0, 0, 0, 0, 0])
        return self.file.read_bytes().index(data_end, self.ends[-1])

    @property
    def file(self) -> Path:
        return mcap_of(self.path)


def mcap_of(episode: Path) -> Path:
    (file,) = episode.glob("*.mcap")
    return file


def write(directory: Path, count: int = 60, chunk_bytes: int = 2000, seed: int = 0) -> Written:
    """An episode in several chunks, of messages of 12 to 400 bytes, hardly any of them zero."""
    rng = random.Random(seed)
    info = EpisodeInfo(task="transfer_cube", seed=3, robot="twin", labels=("a", "b"))
    writer = EpisodeWriter(
        directory,
        [topic(name, "std_msgs/msg/String") for name in TOPICS],
        info,
        1e9,
        chunk_bytes=chunk_bytes,
    )
    messages = tuple(
        step.to_bytes(4, "big") + bytes(rng.randrange(1, 256) for _ in range(rng.randrange(8, 400)))
        for step in range(count)
    )
    for step, data in enumerate(messages):
        writer.write(TOPICS[step % 3], data, 1_000_000_000 + step, 500 + step, step + 1)
    path = writer.finish("success")
    whole = mcap_of(path).read_bytes()
    ends, position = [], 0
    for data in messages:
        position = whole.index(data, position) + len(data)
        ends.append(position)
    return Written(path, messages, tuple(ends))


def read(file: Path) -> list[bytes]:
    """The messages by the index and, to compare, front to back; every count is compared, too."""
    with file.open("rb") as opened:
        reader = make_reader(opened)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        indexed = list(reader.iter_messages(log_time_order=False))
        assert [each.name for each in reader.iter_metadata()].count("rosbag2") == 1
    with file.open("rb") as opened:
        records = list(StreamReader(opened, validate_crcs=True).records)
    counted = summary.statistics
    assert counted.message_count == len(indexed) == sum(counted.channel_message_counts.values())
    assert counted.chunk_count == len(summary.chunk_indexes)
    for message in (item[2] for item in indexed):
        assert counted.message_start_time <= message.log_time <= counted.message_end_time
    assert type(records[-1]).__name__ == "Footer"
    _check_message_indexes(file, summary)
    return [item[2].data for item in indexed]


def _check_message_indexes(file: Path, summary: object) -> None:
    """Foxglove and rosbag2 find messages by these; Python's reader does not."""
    whole = file.read_bytes()
    for chunk in summary.chunk_indexes:  # type: ignore[attr-defined]
        records = whole[chunk.chunk_start_offset :][: chunk.chunk_length][-chunk.compressed_size :]
        found = 0
        for channel, offset in chunk.message_index_offsets.items():
            assert whole[offset] == 7
            assert int.from_bytes(whole[offset + 9 : offset + 11], "little") == channel
            length = int.from_bytes(whole[offset + 11 : offset + 15], "little")
            for entry in range(offset + 15, offset + 15 + length, 16):
                place = int.from_bytes(whole[entry + 8 : entry + 16], "little")
                assert records[place] == 5
                assert int.from_bytes(records[place + 9 : place + 11], "little") == channel
                found += 1
        start = chunk.chunk_start_offset + chunk.chunk_length
        assert whole[start] == 7
        assert whole[start + chunk.message_index_length] in (6, 12, 15)
        assert found == sum(1 for _ in _messages(records))


def _messages(records: bytes) -> list[int]:
    position, found = 0, []
    while position < len(records):
        if records[position] == 5:
            found.append(position)
        position += 9 + int.from_bytes(records[position + 1 : position + 9], "little")
    return found
