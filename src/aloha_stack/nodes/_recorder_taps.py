"""What the recorder listens to: one tap per stream, and what they tell of who publishes."""

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from aloha_stack.episodes import schema
from aloha_stack.episodes.cdr import stamp_ns
from aloha_stack.episodes.losses import SequenceCounter
from aloha_stack.episodes.metadata import Topic
from aloha_stack.episodes.qos import Qos
from aloha_stack.episodes.recording import Recording
from aloha_stack.episodes.streams import Stream
from aloha_stack.nodes._messages import interface_class

GAP_NS = 100_000_000
"""ROS time without a message from which on it is remembered when it ended."""

FOREIGN_NS = 1_000_000_000
"""A stamp so far from the time of arrival is of another clock, and then the arrival counts."""


class Tap:
    """One subscribed stream: when it was last heard, what it brings, and what it misses."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.definition = schema.definition(stream.type)
        self.type_hash = schema.type_hash(stream.type)
        self.stamped = schema.starts_with_header(stream.type)
        self.counter = SequenceCounter()
        self.heard_s = -float("inf")  # steady time
        self.heard_ns = 0  # ROS time of arrival, while a recording is on
        self.stamp_ns = 0  # of that message
        self.back_ns = 0  # the first stamp after the last gap
        self.bytes = 0
        self.latest = b""


class Taps:
    """All streams of a robot, subscribed between open() and close(). Messages go to `recording`."""

    def __init__(self, node: Node, streams: Sequence[Stream], now_ns: Callable[[], int]) -> None:
        self._node, self._now_ns = node, now_ns
        self.all = tuple(Tap(stream) for stream in streams)
        self.recording: Recording | None = None
        self.opened_s = float("inf")
        """Steady time since which it listens."""
        self._taken: list[Any] = []

    def open(self) -> None:
        """Listens."""
        self.opened_s = time.monotonic()
        for tap in self.all:
            self._taken.append(
                self._node.create_subscription(
                    interface_class(tap.stream.type),
                    tap.stream.name,
                    cast(Any, self.listener(tap)),  # rclpy's hint knows no message info
                    _subscription_qos(tap.stream),
                    raw=True,
                )
            )

    def close(self) -> None:
        """Listens no more."""
        taken, self._taken = self._taken, []
        for subscription in taken:
            self._node.destroy_subscription(subscription)

    def listener(self, tap: Tap) -> Callable[[bytes, dict[str, Any]], None]:
        """What is called with each message, hundreds of times a second: it must cost little."""
        name, counter, stamped = tap.stream.name, tap.counter, tap.stamped
        steady, now = time.monotonic, self._now_ns

        def on_message(data: bytes, about: dict[str, Any]) -> None:
            sequence = about["publication_sequence_number"]
            missed = counter.saw(sequence)
            tap.heard_s = steady()
            tap.bytes += len(data)
            tap.latest = data
            recording = self.recording
            if recording is None:
                return
            now_ns = now()
            if missed:
                recording.missed(name, missed)
            published_ns = stamp_ns(data) if stamped else now_ns
            at_ns = published_ns if abs(published_ns - now_ns) < FOREIGN_NS else now_ns
            if now_ns - tap.heard_ns > GAP_NS:
                tap.back_ns = at_ns
            tap.heard_ns, tap.stamp_ns = now_ns, at_ns
            recording.add(name, data, now_ns, published_ns, sequence or 0)

        return on_message

    # -- what they tell ---------------------------------------------------------------------

    def find(self, name: str) -> Tap | None:
        """The tap on topic `name`."""
        return next((tap for tap in self.all if tap.stream.name == name), None)

    def silent(self, timeout_s: float) -> list[str]:
        """Required streams that were not heard for `timeout_s` of steady time."""
        since_s = time.monotonic() - timeout_s
        return [t.stream.name for t in self.all if t.stream.required and t.heard_s < since_s]

    @property
    def bytes(self) -> int:
        """All that came since the recorder was configured."""
        return sum(tap.bytes for tap in self.all)

    def topics(self) -> list[Topic]:
        """As an episode describes them, with the quality of service that is offered now."""
        return [self._topic(tap) for tap in self.all]

    def crowded(self) -> list[str]:
        """A sentence for each topic with several publishers: losses cannot be counted there."""
        found = []
        for tap in self.all:
            publishers = self._publishers(tap)
            if len(publishers) > 1:
                names = " and ".join(sorted(map(_full_name, publishers)))
                found.append(
                    f"{tap.stream.name} has {len(publishers)} publishers, {names}: end one"
                )
        return found

    def _publishers(self, tap: Tap) -> list[TopicEndpointInfo]:
        return self._node.get_publishers_info_by_topic(tap.stream.name)

    def _topic(self, tap: Tap) -> Topic:
        offered = tuple(_offered(publisher.qos_profile) for publisher in self._publishers(tap))
        qos = offered or (tap.stream.qos,)
        return Topic(tap.stream.name, tap.stream.type, tap.definition, tap.type_hash, qos)


def _full_name(publisher: TopicEndpointInfo) -> str:
    return f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"


def _subscription_qos(stream: Stream) -> QoSProfile:
    """Matches the publisher; deep enough for whatever keeps this process busy for a while.

    Volatile: what was published before the recording is not part of it.
    """
    return QoSProfile(
        depth=stream.queue_depth,
        reliability=ReliabilityPolicy[stream.qos.reliability.upper()],
        durability=DurabilityPolicy.VOLATILE,
    )


def _offered(profile: QoSProfile) -> Qos:
    # Discovery does not tell the history; rosbag2 then writes "unknown", too.
    known = profile.history in (HistoryPolicy.KEEP_LAST, HistoryPolicy.KEEP_ALL)
    history = profile.history.name.lower() if known else "unknown"
    return Qos(
        profile.reliability.name.lower(),
        profile.durability.name.lower(),
        history,
        profile.depth,
    )
