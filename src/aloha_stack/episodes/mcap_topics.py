"""Topics as an MCAP file describes them: a schema per type, a channel per topic."""

from collections.abc import Iterable, Mapping, Sequence

from mcap.records import Channel, Schema

from aloha_stack.episodes.metadata import Topic
from aloha_stack.episodes.qos import from_yaml, to_yaml


def described(topics: Sequence[Topic]) -> tuple[list[Schema], list[Channel]]:
    """The schemas and channels of `topics`, numbered from 1."""
    schemas: dict[str, Schema] = {}
    channels = []
    for number, topic in enumerate(topics, start=1):
        if topic.type not in schemas:
            schemas[topic.type] = Schema(
                id=len(schemas) + 1,
                data=topic.definition.encode(),
                encoding="ros2msg",
                name=topic.type,
            )
        about = {
            "offered_qos_profiles": to_yaml(topic.qos),
            "topic_type_hash": topic.type_hash,
        }
        channels.append(Channel(number, topic.name, "cdr", about, schemas[topic.type].id))
    return list(schemas.values()), channels


def topics_of(schemas: Mapping[int, Schema], channels: Iterable[Channel]) -> list[Topic]:
    """The reverse; a channel of unknown schema is a topic without a type."""
    found: dict[str, Topic] = {}
    for channel in channels:
        schema = schemas.get(channel.schema_id)
        found.setdefault(
            channel.topic,
            Topic(
                channel.topic,
                schema.name if schema else "",
                schema.data.decode("utf-8", "replace") if schema else "",
                channel.metadata.get("topic_type_hash", ""),
                from_yaml(channel.metadata.get("offered_qos_profiles", "")),
            ),
        )
    return list(found.values())
