"""A mapping of a robot's YAML file whose complaints name the file and the key."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class RobotConfigError(ValueError):
    """A robot file is missing, or says something that cannot be."""


class Section:
    """One mapping of the file `path`; `where` is its place there, as in arms.leader_left."""

    def __init__(self, values: Any, path: Path, where: str = "") -> None:
        self.path, self.where = path, where
        if not isinstance(values, dict):
            self.complain(where or "the file", f"expected a mapping, found {values!r}")
        self.values: dict[str, Any] = values

    def complain(self, key: str, what: str) -> None:
        raise RobotConfigError(f"{self.path}: {key}: {what}")

    def _name(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else str(key)

    def get(self, key: str) -> Any:
        if key not in self.values:
            found = ", ".join(map(str, self.values))
            self.complain(self._name(key), f"missing; found only {found}")
        return self.values[key]

    def names(self, allowed: tuple[str, ...] | None = None) -> list[str]:
        for key in self.values:
            if allowed is not None and key not in allowed:
                self.complain(self._name(key), f"unknown; expected one of {', '.join(allowed)}")
        return list(self.values)

    def section(self, key: str) -> "Section":
        return Section(self.get(key), self.path, self._name(key))

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value:
            self.complain(self._name(key), f"expected a text, found {value!r}")
        return value

    def number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float:
        value = self.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            self.complain(self._name(key), f"expected a finite number, found {value!r}")
        if not low <= value <= high:
            self.complain(self._name(key), f"{value} is outside {low} … {high}")
        return float(value)

    def integer(self, key: str, low: float = -math.inf, high: float = math.inf) -> int:
        value = self.number(key, low, high)
        if value != int(value):
            self.complain(self._name(key), f"expected a whole number, found {value}")
        return int(value)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in choices:
            self.complain(self._name(key), f"'{value}' is none of {', '.join(choices)}")
        return value

    def expanded(self, key: str, environment: Mapping[str, str]) -> str:
        def value_of(match: re.Match[str]) -> str:
            if match[1] not in environment:
                self.complain(self._name(key), f"environment variable {match[1]} is not set")
            return environment[match[1]]

        return re.sub(r"\$\{(\w+)\}", value_of, self.text(key))


def read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise RobotConfigError(f"{path} is not valid YAML: {error}") from error
