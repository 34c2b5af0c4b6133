"""Everything of an episode but the pictures themselves, from one pass over its files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aloha_stack.episodes.collector import (
    JOINT_STATE,
    LOGGED,
    Collector,
    ColumnLists,
    Columns,
    TopicColumns,
    TopicFacts,
)
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.joint_columns import STAMPS, JointStream, joint_stream
from aloha_stack.episodes.mcap_walk import McapWalk
from aloha_stack.episodes.picture_table import IMAGE_TYPES, PictureTable, picture_table
from aloha_stack.episodes.said_numbers import KEPT

Progress = Callable[[int, int], None]
"""Told the bytes of the files that are done, and their total."""

_TELL_EVERY = 64 << 20


@dataclass(frozen=True)
class Contents:
    """What was recorded, by topic. `stamps_ns` has every topic that a message came of."""

    types: Mapping[str, str]  # of the topics that the files describe
    stamps_ns: Mapping[str, np.ndarray]  # (n,) int64, in the order of the file
    delay_ns: Mapping[str, np.ndarray]  # (n,) int64, of joints and pictures: log time - stamp
    joints: Mapping[str, JointStream]
    pictures: Mapping[str, PictureTable]
    said: Mapping[str, Columns]  # of the types in KEPT: their fields by name, (n,) each
    closed: bool


def contents_of(
    facts: Sequence[TopicFacts], columns: Mapping[str, Columns], closed: bool
) -> Contents:
    """Of what a Collector found."""
    nothing = np.zeros(0, np.int64)
    every = [(each, columns.get(each.topic, {})) for each in facts]
    joints = {
        each.topic: joint_stream(each.topic, each.joints, found)
        for each, found in every
        if each.type == JOINT_STATE
    }
    pictures = {
        each.topic: picture_table(each.topic, each.files, each.form, found)
        for each, found in every
        if each.type in IMAGE_TYPES
    }
    return Contents(
        {each.topic: each.type for each in facts},
        {
            **{each.topic: found.get(STAMPS, nothing) for each, found in every},
            **{topic: table.stamps_ns for topic, table in pictures.items()},
        },
        {each.topic: found[LOGGED] - found[STAMPS] for each, found in every if LOGGED in found},
        joints,
        pictures,
        {
            each.topic: {name: values for name, values in found.items() if name != STAMPS}
            for each, found in every
            if each.type in KEPT
        },
        closed,
    )


def read_contents(
    files: Sequence[Path], verify: bool = False, progress: Progress | None = None
) -> Contents:
    """Reads the MCAP `files` front to back. Raises EpisodeError for what is foreign or damaged.

    `verify` compares the checksums of all bytes, which reads the pictures too.
    """
    kept = ColumnLists()
    collector = Collector(kept)
    total = sum(path.stat().st_size for path in files if path.exists())
    done, closed = 0, True
    for path in files:
        walk = McapWalk(path)
        by_channel: dict[int, TopicColumns] = {}
        told = 0
        with _naming(path):
            for found in walk.messages(verify):
                topic = by_channel.get(found.channel)
                if topic is None:
                    topic = by_channel[found.channel] = _topic(collector, walk, found.channel)
                collector.take(topic, path, found)
                if progress is not None and found.offset - told > _TELL_EVERY:
                    told = found.offset
                    progress(done + told, total)
        closed = closed and walk.closed is True
        done += path.stat().st_size
        for channel in walk.channels:
            _topic(collector, walk, channel)
    with _naming(files[-1] if files else Path()):
        facts = collector.end()
    return contents_of(facts, kept.columns(), closed)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Lets errors about messages say which file they are in."""
    try:
        yield
    except EpisodeError as error:
        if str(path) in str(error):
            raise
        raise EpisodeError(f"{path}: {error}") from error


def _topic(collector: Collector, walk: McapWalk, channel_id: int) -> TopicColumns:
    """The topic of a channel."""
    channel = walk.channels[channel_id]
    schema = walk.schemas.get(channel.schema_id)
    if schema is None or channel.message_encoding != "cdr":
        return collector.topic(channel.topic, "", "")
    return collector.topic(channel.topic, schema.name, schema.data.decode("utf-8", "replace"))
