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
    """Never sent: what a rate makes of the time, and is not there."""


EDGE = 2
"""Messages of a topic that the beginning and the end of an episode may cut off."""


def counted(records: Iterable[Record], rates_hz: Mapping[str, float], seconds: float) -> Counted:
    """Counts in an episode of at least `seconds`.

    `rates_hz` has the topics whose rate is known: each has to be there from begin to end.
    """
    topics: dict[str, _Topic] = {}
    for record in records:
        topic = topics.setdefault(record.topic, _Topic(record.sequence, record.publish_ns))
        topic.messages += 1
        topic.last, topic.last_ns = record.sequence, record.publish_ns
    unsent = 0
    for name, rate_hz in rates_hz.items():
        sent, due = 0, int(seconds * rate_hz) - EDGE
        if name in topics:
            topic = topics[name]
            span_s = (topic.last_ns - topic.first_ns) * 1e-9
            sent, due = topic.sent, max(due, round(span_s * rate_hz) + 1)
        unsent += max(0, due - sent)
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
