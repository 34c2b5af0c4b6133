"""Who may import what, as a table, and a walk over the sources that checks it.

The table is the "may import" column of docs/architecture.md.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "aloha_stack"

# Folder of the package -> the other folders that it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "robot": set(),
    "dynamixel": {"robot"},
    "cameras": {"robot"},
    "control": {"robot"},
    "episodes": {"robot", "progress"},
    "analysis": {"episodes", "robot", "progress"},
    "twin": {"robot", "dynamixel", "control"},
    "policies": {"robot"},
    "demonstrations": {"twin", "robot", "control", "episodes", "arguments", "progress"},
    "training": {"policies", "episodes", "robot", "control", "arguments", "progress"},
    "evaluation": {"twin", "policies", "control", "robot", "episodes", "analysis"},
    "analyses": {"policies", "training", "episodes", "robot", "analysis", "arguments", "progress"},
    "experiments": {
        *("policies", "training", "analyses", "analysis", "demonstrations", "evaluation"),
        *("episodes", "robot", "arguments", "progress"),
    },
    "launch": set(),
    "bench": {
        *("robot", "dynamixel", "control", "twin", "episodes", "cameras"),
        *("policies", "training", "arguments", "graph", "progress"),
    },
    "arms": {"robot", "dynamixel", "episodes"},
    "doctor": {
        *("robot", "dynamixel", "cameras", "arms"),
        *("arguments", "progress", "shared_memory", "transport"),
    },
}
# Modules that may import more than their folder: the camera source of the twin, and what stands in
# for the camera node.
EXTRA = {
    "cameras/twin.py": {"twin"},
    "twin/direct_cameras.py": {"cameras"},
}

NODES = "nodes"
OWNERS = {  # a dependency that only these folders may touch
    "mujoco": {"twin"},
    "dm_control": {"twin"},
    "gym_aloha": {"twin"},
    "dynamixel_sdk": {"dynamixel", "bench"},  # bench: the stock port is its peer
    "torch": {"policies", "training", "analyses", "experiments", "bench"},
    "safetensors": {"policies", "training", "analyses", "experiments", "bench"},
}


def is_ros(name: str) -> bool:
    """Whether a top-level module comes from ROS: its Python libraries and all message packages."""
    return name in {"rclpy", "std_srvs", "builtin_interfaces", "ament_index_python"} or (
        name.endswith(("_msgs", "_interfaces")) or name.startswith(("rosidl_", "rcl", "launch_ros"))
    )


def imports(source: str, module: list[str]) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that `source`, the module at these parts, imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = module[: -node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            for name in node.names:
                yield node.lineno, f"{stem}.{name.name}"


def broken_rules(root: Path) -> list[str]:
    """Every import under `root` (the package's folder) that the table forbids, as file:line."""
    found = []
    for file in sorted(root.rglob("*.py")):
        path = file.relative_to(root)
        folder = path.parts[0] if len(path.parts) > 1 else ""
        for line, name in imports(file.read_text(), [PACKAGE, *path.with_suffix("").parts]):
            reason = forbidden(folder, path.as_posix(), name)
            if reason:
                found.append(f"{path.as_posix()}:{line}: {name}: {reason}")
    return found


def forbidden(folder: str, path: str, name: str) -> str | None:
    """Why a module of `folder` may not import `name`; None if it may."""
    top, *rest = name.split(".")
    if is_ros(top) and folder != NODES:
        return "only nodes/ imports ROS"
    if top in OWNERS and folder not in OWNERS[top]:
        return f"only {', '.join(sorted(OWNERS[top]))}/ imports {top}"
    if top != PACKAGE or not rest or folder == NODES:
        return None
    target = rest[0]
    if target == NODES and path != "cli.py":
        return "only nodes/ and cli.py import nodes/"
    if folder and target != folder and target not in MAY_IMPORT.get(folder, set()):
        if target in EXTRA.get(path, set()):
            return None
        allowed = ", ".join(sorted(MAY_IMPORT.get(folder, set()))) or "no other folder"
        return f"{folder}/ may import {allowed}"
    return None
