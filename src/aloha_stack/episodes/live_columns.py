"""Keeps the columns of a recording while it is written, at no risk to it."""

from collections.abc import Sequence
from pathlib import Path

from aloha_stack.episodes.collector import Collector, TopicColumns
from aloha_stack.episodes.columns_file import ColumnsFile, columns_path
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.mcap_records import file_end
from aloha_stack.episodes.mcap_walk import Found
from aloha_stack.episodes.metadata import Topic


class LiveColumns:
    """Beside one MCAP file in the making.

    Where the disk is full, or a message is not what its type says, they are given up: the episode
    is recorded as ever, and who reads it finds that it has to be read as a whole.
    """

    def __init__(self, mcap: Path, topics: Sequence[Topic]) -> None:
        self._mcap = mcap
        self._file: ColumnsFile | None = None
        try:
            self._file = ColumnsFile(columns_path(mcap))
        except OSError:
            return
        self._collector = Collector(self._file)
        self._described = {topic.name: (topic.type, topic.definition) for topic in topics}
        self._known: dict[str, TopicColumns] = {}

    def take(self, topic: str, log_ns: int, publish_ns: int, offset: int, data: bytes) -> None:
        """A message that begins at byte `offset` of the file, or will."""
        if self._file is None:
            return
        try:
            known = self._known.get(topic) or self._topic(topic)
            found = Found(0, log_ns, publish_ns, offset, len(data), data)
            self._collector.take(known, self._mcap, found)
        except (EpisodeError, OSError):
            self.discard()

    def finish(self) -> None:
        """The MCAP file is whole and closed, and holds what was taken."""
        if self._file is None:
            return
        try:
            for topic in self._described:
                self._topic(topic)
            facts = self._collector.end()
            with self._mcap.open("rb") as file:
                end = file_end(file.fileno())
            if end is not None:
                self._file.finish(facts, end)
        except (EpisodeError, OSError):
            self.discard()

    def discard(self) -> None:
        """They are not wanted, or not true."""
        file, self._file = self._file, None
        if file is not None:
            file.discard()

    def _topic(self, topic: str) -> TopicColumns:
        known = self._known[topic] = self._collector.topic(topic, *self._described[topic])
        return known
