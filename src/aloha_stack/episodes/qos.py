"""The quality of service of a topic, as rosbag2 notes it beside the recording."""

from dataclasses import dataclass
from typing import Any

import yaml

# RMW_DURATION_INFINITE, the value of every duration that nobody set (rmw/time.h).
INFINITE = {"sec": 9223372036, "nsec": 854775807}

_POLICIES = ("reliability", "durability", "history")


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


def from_yaml(text: str) -> tuple[Qos, ...]:
    """The reverse; what is not understood, or was written by an older rosbag2, is left out."""
    try:
        profiles = yaml.safe_load(text)
    except yaml.YAMLError:
        return ()
    if not isinstance(profiles, list):
        return ()
    found = []
    for profile in profiles:
        known = profile if isinstance(profile, dict) else {}
        reliability, durability, history = (known.get(name) for name in _POLICIES)
        depth = known.get("depth")
        if isinstance(depth, int) and all(
            isinstance(word, str) for word in (reliability, durability, history)
        ):
            found.append(Qos(str(reliability), str(durability), str(history), depth))
    return tuple(found)
