"""The quality of service of a topic, as rosbag2 notes it beside the recording."""

from dataclasses import dataclass
from typing import Any

import yaml

# RMW_DURATION_INFINITE, the value of every duration that nobody set (rmw/time.h).
INFINITE = {"sec": 9223372036, "nsec": 854775807}


@dataclass(frozen=True)
class Qos:
    """What a publisher offers; the policies are written in rosbag2's words."""

    reliability: str = "reliable"
    durability: str = "volatile"
    history: str = "keep_last"
    depth: int = 5

    def as_dict(self) -> dict[str, Any]:
        """The keys and order of rosbag2_storage's YAML, metadata version 9."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": dict(INFINITE),
            "lifespan": dict(INFINITE),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(INFINITE),
            "avoid_ros_namespace_conventions": False,
        }


def to_yaml(profiles: tuple[Qos, ...]) -> str:
    """The text of a channel's `offered_qos_profiles`."""
    if not profiles:
        return "[]"
    return yaml.safe_dump([profile.as_dict() for profile in profiles], sort_keys=False)
