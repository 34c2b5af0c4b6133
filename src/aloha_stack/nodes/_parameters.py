"""Declaring parameters as every node here does: described, bounded, read-only."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

Value = TypeVar("Value", bool, int, float, str)

_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
}


def declare(
    node: Node,
    name: str,
    default: Value | type[Value],
    description: str,
    bounds: tuple[float, float] | None = None,
    *,
    choices: Iterable[str] = (),
    read_only: bool = True,
) -> Value:
    """Declares a parameter and returns its value.

    `default` is a value, or a type (bool, int, float, str) for a parameter that must be given.
    `bounds` are the least and the greatest number allowed, `choices` the words. A value that is
    missing, of another type or not allowed is an exception that names the parameter.
    """
    words = tuple(choices)
    descriptor = ParameterDescriptor(description=description, read_only=read_only)
    descriptor.additional_constraints = f"one of {', '.join(words)}" if words else ""
    required = isinstance(default, type)
    kind = default if isinstance(default, type) else type(default)
    if bounds is not None and kind is float:
        limits = FloatingPointRange(from_value=float(bounds[0]), to_value=float(bounds[1]))
        descriptor.floating_point_range = [limits]
    elif bounds is not None:
        whole = IntegerRange(from_value=int(bounds[0]), to_value=int(bounds[1]), step=1)
        descriptor.integer_range = [whole]
    start: Any = _TYPES[kind] if required else default
    try:
        node.declare_parameter(name, start, descriptor)
        value: Any = node.get_parameter(name).value
    except ParameterUninitializedException as error:
        raise ValueError(
            f"{node.get_fully_qualified_name()}: parameter '{name}' must be given: {description}"
        ) from error
    if words and value not in words:
        raise ValueError(
            f"{node.get_fully_qualified_name()}: parameter '{name}' is '{value}'; expected "
            f"{' or '.join(words)}"
        )
    return value  # type: ignore[no-any-return]


def refuse_unknown_parameters(node: Node) -> None:
    """A ValueError names a parameter that was given but that the node has not, and those meant.

    rclpy passes over it in silence, and a mistyped limit would leave the default in force.
    """
    given = node._parameter_overrides  # rclpy offers no other way to them
    known = list(node._parameters)
    for name in given:
        if node.has_parameter(name) or name.startswith("qos_overrides."):
            continue
        near = get_close_matches(name, known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(known)}"
        raise ValueError(
            f"{node.get_fully_qualified_name()}: there is no parameter '{name}'; {hint} "
            "(for one node of several: -p NODE:NAME:=VALUE, or a parameter file with its name)"
        )
