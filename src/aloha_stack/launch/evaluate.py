"""From a launch file and its arguments to the plan of nodes. Starts nothing, changes nothing.

The reading goes through the file once, top down, as upstream visits it: a `<let>` counts from there
on, an included file reads and writes the includer's configurations, and only a scoped `<group>`
(the default) gives back what was set inside it: configurations, environment and namespace.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from aloha_stack.launch.arguments import check_known, declared_arguments, read_argument
from aloha_stack.launch.errors import LaunchError, LaunchFileError
from aloha_stack.launch.grammar import load_launch_file
from aloha_stack.launch.packages import launch_names
from aloha_stack.launch.plan import NodePlan, Parameters
from aloha_stack.launch.scope import NAMESPACE, ExpansionError, Scope, read_condition
from aloha_stack.launch.substitutions import Call, SubstitutionError, Text, parse_template
from aloha_stack.launch.values import parameter_value, read_bool
from aloha_stack.launch.xml_file import Element

OUTPUTS = ("screen", "both", "log")
"""Values of `output`: all of them are shown on the screen, as no log folder is kept."""

DEFAULT_TIMEOUT_S = 5.0
"""Upstream's time before SIGTERM, and from there before SIGKILL (launch, branch jazzy)."""

_NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMESPACE = re.compile(r"/|(/[A-Za-z_][A-Za-z0-9_]*)+")


def make_plan(
    file: Path, given: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[NodePlan, ...]:
    """The nodes that `file` starts with the arguments `given`, in the order of the file.

    Raises:
        LaunchError: an unknown or missing argument, an invalid choice, or anything in the file that
        is
            not understood or has no value; named with file and line.
    """
    root = load_launch_file(file)
    check_known(given, declared_arguments(root, environment), file)
    reader = _Reader(Scope(environment))
    for name, value in given.items():
        reader.scope.configure(name, value)
    reader.read(root, (file,))
    return reader.nodes_with_timeouts()


class _Reader:
    """Walks through the elements, keeping the current scope and collecting nodes."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.nodes: list[tuple[NodePlan, dict[str, float]]] = []

    def read(self, parent: Element, files: tuple[Path, ...]) -> None:
        """Carries out the children of `parent`; `files` are those being read, outermost first."""
        for element in parent.children:
            try:
                if self._applies(element):
                    self._carry_out(element, files)
            except LaunchFileError:
                raise
            except (ValueError, LaunchError) as problem:
                raise element.error(f"<{element.tag}>: {problem}") from problem

    def nodes_with_timeouts(self) -> tuple[NodePlan, ...]:
        """The nodes; time-outs that they do not give come from the configurations of that name.

        They are looked up after the reading, as upstream does at shutdown.
        """
        return tuple(
            replace(
                node,
                sigterm_timeout_s=own.get("sigterm_timeout", self._timeout("sigterm_timeout")),
                sigkill_timeout_s=own.get("sigkill_timeout", self._timeout("sigkill_timeout")),
            )
            for node, own in self.nodes
        )

    def _timeout(self, name: str) -> float:
        text = self.scope.configurations.get(name, str(DEFAULT_TIMEOUT_S))
        try:
            return _seconds(name, text)
        except ValueError as problem:
            raise LaunchError(str(problem)) from problem

    def _applies(self, element: Element) -> bool:
        if "if" in element.attributes:
            return read_condition(self._text(element, "if"))
        if "unless" in element.attributes:
            return not read_condition(self._text(element, "unless"))
        return True

    def _carry_out(self, element: Element, files: tuple[Path, ...]) -> None:
        match element.tag:
            case "arg":
                self._argument(element)
            case "let":
                self.scope.configure(self._text(element, "name"), self._text(element, "value"))
            case "set_env":
                name = self._text(element, "name")
                self.scope.changes[name] = self._text(element, "value")
            case "group":
                self._group(element, files)
            case "include":
                self._include(element, files)
            case "push-ros-namespace" | "push_ros_namespace":
                self.scope.configure(NAMESPACE, self._namespace(self._text(element, "namespace")))
            case "node":
                self._node(element)

    def _text(self, element: Element, attribute: str) -> str:
        return self.scope.expand(parse_template(element.attributes[attribute]))

    def _optional(self, element: Element, attribute: str) -> str | None:
        return self._text(element, attribute) if attribute in element.attributes else None

    def _argument(self, element: Element) -> None:
        argument = read_argument(element)
        if argument.name not in self.scope.configurations:
            if argument.default is None:
                about = f" ({argument.description})" if argument.description else ""
                raise ExpansionError(
                    f"argument '{argument.name}'{about} is required; give {argument.name}:=…"
                )
            self.scope.configure(argument.name, self._text(element, "default"))
        value = self.scope.configurations[argument.name]
        if argument.choices and value not in argument.choices:
            raise ExpansionError(
                f"argument '{argument.name}' is '{value}'; "
                f"valid choices: {', '.join(argument.choices)}"
            )

    def _group(self, element: Element, files: tuple[Path, ...]) -> None:
        if not read_bool(element.attributes.get("scoped", "true")):
            self.read(element, files)
            return
        outer = self.scope
        self.scope = outer.copy()
        self.read(element, files)
        self.scope = outer

    def _include(self, element: Element, files: tuple[Path, ...]) -> None:
        file = Path(self._text(element, "file"))
        if file in files:
            raise ExpansionError(f"{file} includes itself")
        if not file.is_file():
            raise ExpansionError(
                f"{file} does not exist; beside it are: {launch_names(file.parent)}"
            )
        root = load_launch_file(file)
        names = {self._text(argument, "name") for argument in element.children}
        for argument in map(read_argument, root.named("arg")):
            if argument.required and argument.name not in names:
                problem = f"{file.name} requires the argument '{argument.name}'; give it here"
                raise ExpansionError(problem)
        for pair in element.children:
            self.scope.configure(self._text(pair, "name"), self._text(pair, "value"))
        self.read(root, (*files, file))

    def _namespace(self, own: str | None) -> str:
        """`own` below the pushed namespace, or absolute if it is; checked.

        Raises:
            ExpansionError: the result is not a ROS namespace.
        """
        pushed = self.scope.configurations.get(NAMESPACE)
        if own is None:
            joined = pushed or ""
        elif not pushed or own.startswith("/"):
            joined = own
        else:
            joined = f"{pushed.rstrip('/')}/{own}"
        if joined != "/":
            joined = joined.rstrip("/")
        absolute = joined if joined.startswith("/") else f"/{joined}"
        if not _NAMESPACE.fullmatch(absolute):
            raise ExpansionError(f"'{absolute}' is not a valid ROS namespace")
        return absolute

    def _node(self, element: Element) -> None:
        name = self._optional(element, "name")
        if name is not None and not _NODE_NAME.fullmatch(name):
            raise ExpansionError(f"'{name}' is not a valid node name")
        own = self._optional(element, "namespace")
        executable = self._text(element, "exec")
        output = self._optional(element, "output")
        if output is not None and output not in OUTPUTS:
            raise ExpansionError(f"output '{output}' is not supported; known: {', '.join(OUTPUTS)}")
        on_exit = element.attributes.get("on_exit")
        if on_exit not in (None, "shutdown"):
            raise ExpansionError(f"on_exit '{on_exit}' is not supported; known: shutdown")
        timeouts: dict[str, float] = {
            attribute: _seconds(attribute, element.attributes[attribute])
            for attribute in ("sigterm_timeout", "sigkill_timeout")
            if attribute in element.attributes
        }
        changes = {
            self._text(pair, "name"): self._text(pair, "value") for pair in element.named("env")
        }
        node = NodePlan(
            package=self._text(element, "pkg"),
            executable=executable,
            label=self._optional(element, "exec_name") or Path(executable).name,
            name=name,
            namespace=None
            if own is None and NAMESPACE not in self.scope.configurations
            else self._namespace(own),
            parameters=self._parameters(element),
            remaps=tuple(
                (self._text(pair, "from"), self._text(pair, "to"))
                for pair in element.named("remap")
            ),
            arguments=self._words(element),
            environment={**self.scope.changes, **changes},
            sigterm_timeout_s=DEFAULT_TIMEOUT_S,
            sigkill_timeout_s=DEFAULT_TIMEOUT_S,
            shutdown_on_exit=on_exit == "shutdown",
            where=f"{element.file}:{element.line}",
        )
        self.nodes.append((node, timeouts))

    def _parameters(self, element: Element) -> tuple[Parameters, ...]:
        parts: list[Parameters] = []
        for param in element.named("param"):
            given = set(param.attributes)
            if given == {"from"}:
                file = Path(self._text(param, "from"))
                if not file.is_file():
                    raise param.error(f"parameter file {file} does not exist")
                parts.append(file)
            elif {"name", "value"} <= given and "from" not in given:
                name = self._text(param, "name")
                try:
                    value = parameter_value(
                        param.attributes["value"], param.attributes.get("type"), self.scope.expand
                    )
                except ValueError as problem:
                    raise param.error(f"parameter '{name}': {problem}") from problem
                if not parts or isinstance(parts[-1], Path):
                    parts.append({})
                inline = parts[-1]
                assert isinstance(inline, dict)
                inline[name] = value
            else:
                raise param.error("<param> takes either 'from', or 'name' and 'value'")
        return tuple(parts)

    def _words(self, element: Element) -> tuple[str, ...]:
        """`args` split as a shell does; what a substitution brings is not split again."""
        words: list[str] = []
        glued = False
        for part in parse_template(element.attributes.get("args", "")):
            if isinstance(part, Call):
                pieces, glued_after = [self.scope.expand((part,))], True
            else:
                pieces, glued_after = _split(part), not part.text[-1].isspace()
                glued = glued and not part.text[0].isspace()
            if glued and pieces:
                words[-1] += pieces.pop(0)
            words += pieces
            glued = glued_after
        return tuple(words)


def _split(part: Text) -> list[str]:
    try:
        return shlex.split(part.text)
    except ValueError as problem:
        raise SubstitutionError(f"args '{part.text}': {problem}") from problem


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise ExpansionError(f"{name} '{text}' is not a number of seconds ≥ 0")
    return seconds
