"""Message definitions from the share folders of the ament prefixes, without importing ROS.

An episode carries its own definitions (`ros2msg` text), so that it can be read where no ROS and
none of this project's messages are installed.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.episodes.errors import SchemaError

PRIMITIVES = frozenset(
    [
        *("bool", "byte", "char", "string", "wstring", "float32", "float64"),
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    ]
)
SEPARATOR = "=" * 80
_TYPE = re.compile(r"^([A-Za-z]\w*)/(?:(\w+)/)?([A-Za-z]\w*)$")
_FIELD = re.compile(r"^\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*")


def ament_prefixes() -> tuple[Path, ...]:
    """The installation prefixes of the environment, first found first."""
    text = os.environ.get("AMENT_PREFIX_PATH", "")
    return tuple(Path(entry) for entry in text.split(os.pathsep) if entry)


def definition(type_name: str, prefixes: Sequence[Path] | None = None) -> str:
    """The text of `type_name` ("sensor_msgs/msg/JointState") followed by all that it contains.

    Every dependency follows once, behind a line of 80 "=" and a line "MSG: package/Name", depth
    first in alphabetical order, as rosbag2 writes it. Raises SchemaError if one is missing.
    """
    prefixes = ament_prefixes() if prefixes is None else prefixes
    seen: set[str] = set()

    def expand(name: str) -> str:
        text = _file(name, prefixes, ".msg").read_text(encoding="utf-8")
        for dependency in sorted(_dependencies(text, _split(name)[0])):
            if dependency not in seen:
                seen.add(dependency)
                text += f"\n{SEPARATOR}\nMSG: {dependency}\n{expand(dependency)}"
        return text

    return expand(type_name)


def starts_with_header(type_name: str, prefixes: Sequence[Path] | None = None) -> bool:
    """Whether the first field of the type is a std_msgs/Header, so that it carries a stamp."""
    prefixes = ament_prefixes() if prefixes is None else prefixes
    package = _split(type_name)[0]
    for line in _file(type_name, prefixes, ".msg").read_text(encoding="utf-8").splitlines():
        if found := _FIELD.match(line.split("#", 1)[0]):
            name = found.group(1)
            return (name if "/" in name else f"{package}/{name}") == "std_msgs/Header"
    return False


def type_hash(type_name: str, prefixes: Sequence[Path] | None = None) -> str:
    """The type's RIHS01 hash as the interface generator noted it; "" where it left none."""
    prefixes = ament_prefixes() if prefixes is None else prefixes
    try:
        path = _file(type_name, prefixes, ".json")
    except SchemaError:
        return ""
    package, kind, name = _split(type_name)
    hashes = json.loads(path.read_text(encoding="utf-8")).get("type_hashes", [])
    full = f"{package}/{kind}/{name}"
    return next((str(h["hash_string"]) for h in hashes if h.get("type_name") == full), "")


def _split(type_name: str) -> tuple[str, str, str]:
    found = _TYPE.match(type_name)
    if found is None:
        raise SchemaError(
            f"{type_name!r} is not the name of a message type; expected package/msg/Name, "
            "for example sensor_msgs/msg/JointState"
        )
    package, kind, name = found.groups()
    return package, kind or "msg", name


def _file(type_name: str, prefixes: Sequence[Path], suffix: str) -> Path:
    package, kind, name = _split(type_name)
    for prefix in prefixes:
        path = prefix / "share" / package / kind / f"{name}{suffix}"
        if path.is_file():
            return path
    where = ", ".join(str(prefix) for prefix in prefixes) or "nothing: AMENT_PREFIX_PATH is empty"
    raise SchemaError(
        f"no definition of {type_name}: share/{package}/{kind}/{name}{suffix} is in none of the "
        f"installation prefixes ({where}); source the environment in which {package} is installed"
    )


def _dependencies(text: str, package: str) -> set[str]:
    found = set()
    for line in text.splitlines():
        match = _FIELD.match(line.split("#", 1)[0])
        if match and match.group(1) not in PRIMITIVES:
            name = match.group(1)
            found.add(name if "/" in name else f"{package}/{name}")
    return found
