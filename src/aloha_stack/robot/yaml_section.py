"""A mapping of a robot's YAML file; its complaints name the file, the key and what was expected."""

import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

QUICK_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader; where PyYAML was built with libyaml, a robot's files take 0.02 s and not 0.3."""


class RobotConfigError(ValueError):
    """A robot file is missing, or says something that cannot be."""


class Section:
    """One mapping of the file `path`; `where` is its place there, as in arms.leader_left."""

    def __init__(self, values: Any, path: Path, where: str = "") -> None:
        self.path, self.where = path, where
        if not isinstance(values, dict):
            self.complain("", f"expected a mapping (key: value), found {shown(values)}")
        self.values: dict[Any, Any] = values

    def complain(self, key: Any, what: str) -> NoReturn:
        """Raises the error about `key` of this section; about the section itself if it is ""."""
        raise RobotConfigError(f"{self.path}: {self._name(key) or 'the file'}: {what}")

    def _name(self, key: Any) -> str:
        name = key if isinstance(key, str) else shown(key)
        return ".".join(part for part in (self.where, name) if part)

    def get(self, key: Any) -> Any:
        if key not in self.values:
            found = ", ".join(map(shown, self.values)) or "nothing"
            self.complain(key, f"missing; found only {found}")
        return self.values[key]

    def check_keys(self, allowed: Iterable[str]) -> None:
        """Refuses keys that nobody reads: a slip of the pen would otherwise go unnoticed."""
        known = tuple(allowed)
        for key in self.values:
            if key not in known:
                self.complain(key, f"unknown; expected one of {', '.join(known)}")

    def section(self, key: str) -> "Section":
        return Section(self.get(key), self.path, self._name(key))

    def sections(self, key: str) -> list["Section"]:
        """A list of mappings, not empty; the place of each is key[index]."""
        entries = self.get(key)
        if not isinstance(entries, list) or not entries:
            self.complain(key, f"expected a list with at least one entry, found {shown(entries)}")
        return [
            Section(entry, self.path, f"{self._name(key)}[{index}]")
            for index, entry in enumerate(entries)
        ]

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value or not value.isprintable():
            self.complain(key, f"expected a text, found {shown(value)}")
        return value

    def number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            self.complain(key, f"expected a finite number, found {shown(value)}")
        if not low <= value <= high:
            self.complain(key, f"{shown(value)} is outside {low:.6g} … {high:.6g}")
        return float(value)

    def numbers(
        self, key: str, count: int, low: float = -math.inf, high: float = math.inf
    ) -> tuple[float, ...]:
        """A list of `count` finite numbers."""
        values = self.get(key)
        if not isinstance(values, list) or len(values) != count:
            self.complain(key, f"expected a list of {count} numbers, found {shown(values)}")
        entries = {f"{key}[{index}]": value for index, value in enumerate(values)}
        checked = Section(entries, self.path, self.where)
        return tuple(checked.number(name, low, high) for name in entries)

    def integer(self, key: Any, low: int, high: int) -> int:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            self.complain(key, f"expected a whole number, found {shown(value)}")
        if not low <= value <= high:
            self.complain(key, f"{shown(value)} is outside {low} … {high}")
        return value

    def choice(self, key: str, choices: tuple[Any, ...]) -> Any:
        """One of `choices`, of the same type (YAML's `true` is no 1)."""
        value = self.get(key)
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            self.complain(key, f"{shown(value)} is none of {', '.join(map(str, choices))}")
        return value

    def expanded(self, key: str, environment: Mapping[str, str]) -> str:
        """A text in which ${VAR} stands for a variable of `environment`."""

        def value_of(match: re.Match[str]) -> str:
            if not environment.get(match[1]):
                self.complain(key, f"environment variable {match[1]} is not set")
            return environment[match[1]]

        return re.sub(r"\$\{(\w+)\}", value_of, self.text(key))


def shown(value: Any) -> str:
    """`value` for a message: short, whatever it is."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a huge number"


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def nests_little(text: str) -> bool:
    """Whether QUICK_LOADER may be trusted with it: libyaml goes down into what is nested without a
    limit, and takes the process with it at some 25,000 levels. Each needs one of these signs."""
    return sum(text.count(sign) for sign in "[{:-?") < 4000


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. A RobotConfigError says what is wrong with the file itself."""
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, Loader=_QuickLoader if nests_little(text) else _StrictLoader)
    except OSError as error:
        raise RobotConfigError(f"{path} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise RobotConfigError(f"{path} is not valid YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: bytes that are no text, a 99th day
        raise RobotConfigError(f"{path} is not valid YAML: {error}") from error


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, which would let the last of several equal keys win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _check_keys(self, node)
        return super().construct_mapping(node, deep)


class _QuickLoader(QUICK_LOADER):  # type: ignore[misc, valid-type]
    """The same."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _check_keys(self, node)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _check_keys(loader: yaml.SafeLoader, node: yaml.MappingNode) -> None:
    keys: list[Any] = []
    for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if key in keys:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {shown(key)} stands twice", key_node.start_mark
            )
        keys.append(key)
