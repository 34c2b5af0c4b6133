"""The arguments that a launch file takes, and those that the command line gives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aloha_stack.launch.errors import LaunchError
from aloha_stack.launch.grammar import CONDITIONS, load_launch_file
from aloha_stack.launch.scope import ExpansionError, Scope
from aloha_stack.launch.substitutions import parse_template, unescape
from aloha_stack.launch.xml_file import Element


@dataclass(frozen=True)
class Argument:
    """One `<arg>`: `default` as written (None: must be given), `choices` empty: all is valid."""

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...]
    conditional: bool

    @property
    def required(self) -> bool:
        """Whether the file cannot be read without it."""
        return self.default is None and not self.conditional


def read_argument(element: Element, conditional: bool = False) -> Argument:
    """The declaration that an `<arg>` element makes."""
    return Argument(
        unescape(element.attributes["name"]),
        element.attributes.get("default"),
        unescape(element.attributes.get("description", "")),
        tuple(unescape(choice.attributes["value"]) for choice in element.named("choice")),
        conditional or _is_conditional(element),
    )


def declared_arguments(root: Element, environment: Mapping[str, str]) -> dict[str, Argument]:
    """The arguments of a file and of those that it includes; a name's first declaration counts.

    Included files whose path depends on arguments are passed over, as upstream does.
    """
    found: dict[str, Argument] = {}
    for argument in _declared(root, Scope(environment), False, (root.file,)):
        found.setdefault(argument.name, argument)
    return found


def _declared(
    parent: Element, scope: Scope, conditional: bool, files: tuple[Path, ...]
) -> Iterator[Argument]:
    for element in parent.children:
        inner = conditional or _is_conditional(element)
        if element.tag == "arg":
            yield read_argument(element, conditional)
        elif element.tag == "group":
            yield from _declared(element, scope, inner, files)
        elif element.tag == "include":
            try:
                file = Path(scope.expand(parse_template(element.attributes["file"])))
            except (ExpansionError, LaunchError):
                continue
            if file.is_file() and file not in files:
                yield from _declared(load_launch_file(file), scope, inner, (*files, file))


def _is_conditional(element: Element) -> bool:
    return any(name in element.attributes for name in CONDITIONS)


def read_command_line(words: Sequence[str]) -> dict[str, str]:
    """`name:=value` words as a mapping; of a name given twice the last value counts.

    Raises:
        LaunchError: a word is not of this form.
    """
    given = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not (separator and name and value):
            raise LaunchError(f"argument '{word}' is malformed; expected name:=value")
        given[name] = value
    return given


def check_known(given: Mapping[str, str], declared: Mapping[str, Argument], file: Path) -> None:
    """Refuses arguments that the file does not declare.

    Raises:
        LaunchError: names the argument and lists those that exist.
    """
    for name in given:
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise LaunchError(f"{file.name} has no argument '{name}'; it takes: {known}")


def describe_arguments(declared: Mapping[str, Argument]) -> str:
    """The arguments as text for people."""
    lines = ["Arguments (pass arguments as 'name:=value'):"]
    for argument in declared.values():
        lines.append("")
        lines.append(f"    '{argument.name}':{'*' if argument.conditional else ''}")
        lines.append(f"        {argument.description or 'no description given'}")
        if argument.choices:
            lines.append(f"        One of: {', '.join(argument.choices)}")
        if argument.default is not None:
            lines.append(f"        (default: '{argument.default}')")
    if not declared:
        lines.append("    none")
    if any(argument.conditional for argument in declared.values()):
        lines += ["", "* used only under a condition"]
    return "\n".join(lines)
