"""`--help` of a node: its parameters as its source declares them. Nothing is made or started.

A node declares its parameters while it is being made, and making a twin starts a world. So the
calls of `declare` are read from the sources: the node's module and those of this folder that it
imports. A test compares them with what nodes declare.
"""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.lifecycle import LifecycleNode

FOLDER = Path(__file__).parent
LIFE = "_node.py"
"""Declares what nodes with a life cycle have in common."""
PACKAGE = "aloha_stack.nodes"
REQUIRED = "required"
SHARED = """  use_sim_time (bool, False)
      whether time comes from /clock, as every node of ROS 2 knows it

Names, remappings, --params-file FILE and log levels follow --ros-args too, as usual."""


@dataclass(frozen=True)
class Declared:
    """One parameter; `default` is as Python writes it, or "required"; `allowed` may be empty."""

    name: str
    kind: str
    default: str
    allowed: str
    description: str

    def __str__(self) -> str:
        facts = ", ".join(filter(None, (self.kind, self.default, self.allowed)))
        return f"  {self.name} ({facts})\n      {self.description}"


def help_text(make_node: Callable[..., Any]) -> str:
    """Usage, parameters and an example of the node that `make_node` makes."""
    source = Path(inspect.getfile(make_node))
    parameters = declared_parameters(source, has_life_cycle=_has_life_cycle(make_node))
    required = [one.name for one in parameters if one.default == REQUIRED]
    given = [f"-p {name}:=VALUE" for name in required or [parameters[0].name]]
    command = f"ros2 run aloha_stack {source.stem}"
    return "\n".join(
        (
            f"usage: {command} [--ros-args -p PARAMETER:=VALUE …]",
            f"       ./aloha python -m {PACKAGE}.{source.stem} [--ros-args …]",
            "",
            ast.get_docstring(ast.parse(source.read_text())) or "",
            "",
            "parameters:",
            *map(str, parameters),
            SHARED,
            "",
            "examples:",
            f"  {command} --ros-args {' '.join(given)}",
            "  ./aloha launch teleop_record  (ros2 launch aloha_stack teleop_record.launch.xml)",
        )
    )


def _has_life_cycle(make_node: Callable[..., Any]) -> bool:
    return isinstance(make_node, type) and issubclass(make_node, LifecycleNode)


def declared_parameters(source: Path, *, has_life_cycle: bool) -> list[Declared]:
    """What the node in the file `source`, and the modules of this folder it uses, declare."""
    found: dict[str, Declared] = {}
    files = [source, *([FOLDER / LIFE] if has_life_cycle else [])]
    for file in files:  # grows
        tree = ast.parse(file.read_text())
        names = _names(file)
        for call in _calls(tree):
            one = _read(call, names)
            found.setdefault(one.name, one)
        files += [file for file in _imported(tree) if file not in files and file.name != LIFE]
    return list(found.values())


def _names(file: Path) -> dict[str, Any]:
    """What the module's names stand for, where it is loaded."""
    for module in (sys.modules.get(f"{PACKAGE}.{file.stem}"), sys.modules["__main__"]):
        if module is not None and getattr(module, "__file__", None) == str(file):
            return vars(module)
    return {}


def _imported(tree: ast.AST) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            yield FOLDER / f"{(node.module or '').rpartition('.')[2]}.py"


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls of `declare(node, "name", …)` and of `self.declare_parameter("name", …)`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="declare")):
                yield node
            case ast.Call(
                func=ast.Attribute(attr="declare_parameter"), args=[ast.Constant(), _, ast.Name(id)]
            ):
                described = _described(tree, id)
                yield ast.Call(node.func, [ast.Constant(None), *node.args[:2], described], [])


def _described(tree: ast.AST, name: str) -> ast.expr:
    """The description in `name = ParameterDescriptor(description=…)`."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id)], value=ast.Call(keywords=words)) if id == name:
                return next(word.value for word in words if word.arg == "description")
    return ast.Constant("")


def _read(call: ast.Call, names: dict[str, Any]) -> Declared:
    """The arguments of `declare`: node, name, default or type, description, bounds, choices."""
    name, default, description, *bounds = [_value(one, names) for one in call.args[1:]]
    words = {word.arg: _value(word.value, names) for word in call.keywords}
    if isinstance(default, type):
        kind, start = default.__name__, REQUIRED
    else:
        kind, start = type(default).__name__, repr(default)
    allowed = f"{bounds[0][0]} … {bounds[0][1]}" if bounds else " | ".join(words.get("choices", ()))
    return Declared(str(name), kind, start, allowed, str(description))


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """What the expression stands for, or its text where its names are not known yet."""
    try:
        code = compile(ast.fix_missing_locations(ast.Expression(node)), "declare", "eval")
        return eval(code, dict(names))
    except NameError:
        return ast.unparse(node).removeprefix("f").strip("'\"")
