"""What is missing of a recording's messages, by the numbers that the publishers gave them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aloha_stack.episodes.mcap_file import Record


@dataclass(frozen=True)
class Counted:
    """Messages of an episode, of all topics together."""

    messages: int
    missing: int
    """Gaps in the sequence numbers of each topic, from its first message to its last."""
    unsent: int
    """Never sent: what a rate makes of the time from the first to the last, and is not there."""


def counted(records: Iterable[Record], rates_hz: Mapping[str, float]) -> Counted:
    """Counts; `rates_hz` has the topics whose rate is known."""
    topics: dict[str, _Topic] = {}
    for record in records:
        topic = topics.setdefault(record.topic, _Topic(record.sequence, record.publish_ns))
        topic.messages += 1
        topic.last, topic.last_ns = record.sequence, record.publish_ns
    unsent = 0
    for name, topic in topics.items():
        if name in rates_hz:
            due = round((topic.last_ns - topic.first_ns) * 1e-9 * rates_hz[name]) + 1
            unsent += max(0, due - topic.sent)
    return Counted(
        sum(topic.messages for topic in topics.values()),
        sum(topic.sent - topic.messages for topic in topics.values()),
        unsent,
    )


class _Topic:
    """One topic while it is counted. A publisher's messages come in the order of their numbers."""

    def __init__(self, first: int, first_ns: int) -> None:
        self.first, self.first_ns = first, first_ns
        self.last, self.last_ns = first, first_ns
        self.messages = 0

    @property
    def sent(self) -> int:
        return self.last - self.first + 1
