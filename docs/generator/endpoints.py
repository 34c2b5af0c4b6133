"""Topics, services and actions of the made nodes, one row for all arms or cameras alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rclpy.action import get_action_server_names_and_types_by_node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from aloha_stack.robot.joints import ARMS, CAMERAS, FOLLOWERS, LEADERS

OF_EVERY_NODE = ("/parameter_events", "/rosout")
SERVED_BY_RCLPY = ("rcl_interfaces/", "lifecycle_msgs/", "type_description_interfaces/")


@dataclass
class Topic:
    """`qos` is as offered; empty where only others publish it."""

    name: str
    kind: str
    qos: str = ""
    speakers: set[str] = field(default_factory=set)
    listeners: set[str] = field(default_factory=set)


@dataclass(frozen=True, order=True)
class Served:
    """A service or an action, and the executable that serves it."""

    name: str
    kind: str
    server: str


def topics(nodes: Mapping[str, Iterable[Any]]) -> list[Topic]:
    """By name."""
    ends = list(_topic_ends(nodes))
    names = grouped({end.topic_name for _, _, end in ends})
    found: dict[str, Topic] = {}
    for executable, speaks, end in ends:
        name = names[end.topic_name]
        topic = found.setdefault(name, Topic(name, kind_name(end.msg_type)))
        (topic.speakers if speaks else topic.listeners).add(executable)
        if speaks:
            topic.qos = qos_words(end.qos_profile)
    return [found[name] for name in sorted(found)]


def _topic_ends(nodes: Mapping[str, Iterable[Any]]) -> Iterable[tuple[str, bool, Any]]:
    for executable, several in nodes.items():
        for node in several:
            for ends, speaks in ((node.publishers, True), (node.subscriptions, False)):
                for end in ends:
                    if end.topic_name not in OF_EVERY_NODE:
                        yield executable, speaks, end


def services(nodes: Mapping[str, Iterable[Any]]) -> list[Served]:
    """By name; without those that rclpy gives every node."""
    ends = [
        (node.resolve_service_name(one.srv_name), kind_name(one.srv_type), executable)
        for executable, several in nodes.items()
        for node in several
        for one in node.services
    ]
    return _served(end for end in ends if not end[1].startswith(SERVED_BY_RCLPY))


def actions(nodes: Mapping[str, Iterable[Any]]) -> list[Served]:
    """By name."""
    return _served(
        (name, kind, executable)
        for executable, several in nodes.items()
        for node in several
        for name, (kind, *_) in get_action_server_names_and_types_by_node(
            node, node.get_name(), node.get_namespace()
        )
    )


def _served(ends: Iterable[tuple[str, str, str]]) -> list[Served]:
    ends = list(ends)
    names = grouped({name for name, _, _ in ends})
    return sorted({Served(names[name], kind, server) for name, kind, server in ends})


def grouped(names: Iterable[str]) -> dict[str, str]:
    """Each name with `{arm}`, `{leader}`, `{follower}` or `{camera}` for what all of them have."""
    names = set(names)
    found = {name: name for name in names}
    for name in names:
        first, _, rest = name.removeprefix("/").partition("/")
        for members, place in (
            (ARMS, "{arm}"),
            (LEADERS, "{leader}"),
            (FOLLOWERS, "{follower}"),
            (CAMERAS, "{camera}"),
        ):
            if first in members and all(f"/{member}/{rest}" in names for member in members):
                found[name] = f"/{place}/{rest}"
                break
    return found


def kind_name(kind: type) -> str:
    """As ROS writes it: package/msg/Name."""
    package, folder, *_ = kind.__module__.split(".")
    return f"{package}/{folder}/{kind.__name__}"


def qos_words(profile: QoSProfile) -> str:
    """Reliability, depth and durability."""
    reliable = profile.reliability != ReliabilityPolicy.BEST_EFFORT
    words = ["reliable" if reliable else "best effort", f"depth {profile.depth}"]
    if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        words.append("transient local")
    return ", ".join(words)
