"""How diagnostic_aggregator sorts names, as its sources have it, for the tests of our file.

Source: github.com/ros/diagnostics, branch ros2 (431926f), diagnostic_aggregator/src:
generic_analyzer.cpp (`init` for the keys, `match` for the rules), analyzer_group.cpp (all analyzers
of a group are asked, `analyzers.` is the prefix inside one), aggregator.cpp (what none takes:
"Other").
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

GENERIC = "diagnostic_aggregator/GenericAnalyzer"
GROUP = "diagnostic_aggregator/AnalyzerGroup"
TOP_KEYS = {"path": str, "pub_rate": float, "other_as_errors": bool, "critical": bool}
WORDS = ("startswith", "contains", "regex", "expected", "remove_prefix", "find_and_remove_prefix")
KEYS = {"type": str, "path": str, "timeout": float, "num_items": int, "discard_stale": bool}


@dataclass(frozen=True)
class Analyzer:
    """One GenericAnalyzer; `path` is where its statuses stand in the tree."""

    path: str
    rules: Mapping[str, Any]

    def __post_init__(self) -> None:
        """What upstream would throw for: a key or a type that it does not read so."""
        for key, value in self.rules.items():
            lists = key in WORDS and isinstance(value, list)
            lists = lists and all(isinstance(word, str) for word in value)
            assert lists or (key in KEYS and type(value) is KEYS[key]), f"{self.path}: {key}"
        assert any(self.rules.get(key) for key in WORDS[:3]), f"{self.path} matches nothing"

    def match(self, name: str) -> bool:
        """Whether it takes a status of this name."""
        rules = self.rules
        return (
            any(re.fullmatch(pattern, name) for pattern in rules.get("regex", ()))
            or any(name.startswith(start) for start in rules.get("startswith", ()))
            or any(part in name for part in rules.get("contains", ()))
        )


def analyzers(file: Path) -> list[Analyzer]:
    """Of a parameter file for the node `analyzers`, which is what upstream's node is called."""
    top = yaml.safe_load(file.read_text())["analyzers"]["ros__parameters"]
    for key, kind in TOP_KEYS.items():
        assert type(top.get(key, kind())) is kind, key
    groups = {key: value for key, value in top.items() if key not in TOP_KEYS}
    return list(_walk(groups, f"/{top['path']}"))


def _walk(groups: Mapping[str, Any], path: str) -> Iterator[Analyzer]:
    for one in groups.values():
        assert one["type"] in (GENERIC, GROUP), one
        below = f"{path}/{one['path']}"
        if one["type"] == GROUP:
            assert set(one) == {"type", "path", "analyzers"}, below
            yield from _walk(one["analyzers"], below)
        else:
            yield Analyzer(below, one)
