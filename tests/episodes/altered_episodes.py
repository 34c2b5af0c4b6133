"""Episodes with one thing changed: what a recorder, a cable or a clock can do to them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mcap.writer import CompressionType, Writer

from aloha_stack.episodes import schema
from aloha_stack.episodes.mcap_file import Record
from aloha_stack.episodes.metadata import EpisodeInfo, Topic
from aloha_stack.episodes.qos import Qos
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.writer import EpisodeWriter

Change = Callable[[Record], Record | None]


def altered(
    source: Path,
    directory: Path,
    change: Change = lambda record: record,
    info: EpisodeInfo | None = None,
    types: Mapping[str, str] | None = None,
    extra: Mapping[str, list[tuple[int, bytes]]] | None = None,
) -> Path:
    """Writes `source` once more with every record as `change` returns it (None: left out).

    `types` replaces the types of topics; `extra` adds messages (stamp, bytes) of further topics,
    whose types are to be in `types`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    episode = Episode(source)
    kinds = {**episode.types, **(types or {})}
    topics = [
        Topic(name, kind, schema.definition(kind), schema.type_hash(kind), (Qos(),))
        for name, kind in kinds.items()
    ]
    writer = EpisodeWriter(directory, topics, info or episode.info)
    for record in episode.records():
        changed = change(record)
        if changed is not None:
            writer.write(
                changed.topic, changed.data, changed.log_ns, changed.publish_ns, changed.sequence
            )
    for name, messages in (extra or {}).items():
        for number, (stamp, data) in enumerate(messages):
            writer.write(name, data, stamp, stamp, number + 1)
    return writer.finish("success", lost=dict((info or episode.info).lost))


def compress(path: Path, compression: CompressionType) -> None:
    """Rewrites an episode's file as other recorders do: in compressed chunks."""
    (file,) = path.glob("*.mcap")
    records = list(Episode(path).records())
    with file.open("wb") as out:
        writer = Writer(out, chunk_size=1 << 16, compression=compression)
        writer.start(profile="ros2", library="rosbag2")
        channels: dict[str, int] = {}
        for record in records:
            if record.topic not in channels:
                described = record.schema
                number = writer.register_schema(described.name, described.encoding, described.data)
                channels[record.topic] = writer.register_channel(record.topic, "cdr", number)
            writer.add_message(
                channels[record.topic],
                record.log_ns,
                record.data,
                record.publish_ns,
                record.sequence,
            )
        writer.finish()


def with_note(info: EpisodeInfo, **notes: str) -> EpisodeInfo:
    return replace(info, notes={**info.notes, **notes})
