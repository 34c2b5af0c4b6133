"""What a launch starts: nodes as plain data, ready to be printed, compared or run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aloha_stack.launch.values import Value

Parameters = Path | dict[str, Value]
"""A parameter file, or parameters that the launch file itself gives."""


@dataclass(frozen=True)
class NodePlan:
    """One process to start.

    `label` names it in messages. `name` and `namespace` are None where the launch file says nothing
    (the node then decides). `environment` holds only what differs from the launch's own. After
    SIGINT the node has `sigterm_timeout_s` before SIGTERM and `sigkill_timeout_s` more before
    SIGKILL.
    """

    package: str
    executable: str
    label: str
    name: str | None
    namespace: str | None
    parameters: tuple[Parameters, ...]
    remaps: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    environment: dict[str, str]
    sigterm_timeout_s: float
    sigkill_timeout_s: float
    shutdown_on_exit: bool
    where: str

    @property
    def full_name(self) -> str | None:
        """Namespace and name joined; None unless both are known."""
        if self.name is None or self.namespace is None:
            return None
        return f"{self.namespace.rstrip('/')}/{self.name}"

    def as_json(self) -> dict[str, Any]:
        """The node as JSON types."""
        parameters = [str(part) if isinstance(part, Path) else part for part in self.parameters]
        return {**asdict(self), "parameters": parameters}


def ros_arguments(node: NodePlan, parameter_files: list[Path]) -> list[str]:
    """The words after the executable: own arguments, then name, namespace, parameters, remaps.

    The order is upstream's (launch_ros, branch jazzy, actions/node.py).
    """
    words = [*node.arguments, "--ros-args"]
    if node.name is not None:
        words += ["-r", f"__node:={node.name}"]
    if node.namespace is not None:
        words += ["-r", f"__ns:={node.namespace}"]
    for file in parameter_files:
        words += ["--params-file", str(file)]
    for source, target in node.remaps:
        words += ["-r", f"{source}:={target}"]
    return words


def parameter_document(node: NodePlan, parameters: dict[str, Value]) -> dict[str, Any]:
    """Inline parameters in the form of a ROS 2 parameter file, addressed to the node.

    A node whose full name is not known is addressed by the wildcard.
    """
    return {node.full_name or "/**": {"ros__parameters": dict(parameters)}}
