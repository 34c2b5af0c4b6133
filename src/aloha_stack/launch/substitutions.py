r"""Reads the `$(name argument …)` language of launch files into a tree; nothing is looked up here.

    template     = { text | substitution }
    substitution = "$(" name { " " argument } ")"
    argument     = { word | substitution } | "'" template "'" | '"' template '"'

A backslash takes the next character as it is: `\$(` is no substitution. Arguments are parted by
exactly one space. Inside a quoted argument spaces and parentheses are text, and nested
substitutions end at the quote. These are the rules of the ROS 2 launch front end (launch, branch
jazzy, frontend/grammar.lark).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

NUMBER_OF_ARGUMENTS = {
    "var": (1, 2),
    "env": (1, 2),
    "find-pkg-share": (1, 1),
    "equals": (2, 2),
    "and": (2, 2),
    "or": (2, 2),
    "not": (1, 1),
}
"""Every substitution that is understood, with the least and the greatest number of arguments."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Text:
    """Characters that stand for themselves, with backslashes already taken out."""

    text: str


@dataclass(frozen=True)
class Call:
    """One substitution: its name and its arguments, each a template of its own."""

    name: str
    arguments: tuple["Template", ...]


Template = tuple[Text | Call, ...]


class SubstitutionError(ValueError):
    """A template that is malformed or uses a substitution that is not understood."""


def parse_template(text: str) -> Template:
    """The parts of an attribute's text.

    Raises:
        SubstitutionError: names the substitution that is unknown, or says where the text goes
        wrong.
    """
    return _Reader(text).template(quote=None)


def unescape(text: str) -> str:
    """`text` without its backslashes; a doubled one stays as one."""
    return re.sub(r"\\(.)", r"\1", text)


class _Reader:
    """A cursor over one template."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def template(self, quote: str | None) -> Template:
        """Parts up to the closing `quote`, or to the end of the text."""
        return self._parts(lambda: self._peek() == quote and quote is not None, quote)

    def _parts(self, done: Callable[[], bool], quote: str | None) -> Template:
        parts: list[Text | Call] = []
        start = self.at
        while self.at < len(self.text) and not (done() and not self._escaped()):
            if self.text.startswith("$(", self.at) and not self._escaped():
                self._keep(parts, start)
                parts.append(self._call(quote))
                start = self.at
            else:
                self.at += 1
        self._keep(parts, start)
        return tuple(parts)

    def _keep(self, parts: list[Text | Call], start: int) -> None:
        if self.at > start:
            parts.append(Text(unescape(self.text[start : self.at])))

    def _call(self, quote: str | None) -> Call:
        self.at += len("$(")
        match = _NAME.match(self.text, self.at)
        if match is None:
            raise self._error("a substitution's name must follow '$('")
        name = match.group()
        self.at = match.end()
        if name not in NUMBER_OF_ARGUMENTS:
            known = ", ".join(NUMBER_OF_ARGUMENTS)
            raise SubstitutionError(f"substitution '$({name} …)' is not supported; known: {known}")
        arguments = []
        while self._peek() == " ":
            self.at += 1
            arguments.append(self._argument(quote))
        if self._peek() != ")":
            raise self._error(f"')' expected to close '$({name}'")
        self.at += 1
        least, most = NUMBER_OF_ARGUMENTS[name]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} or {most}"
            raise SubstitutionError(
                f"'$({name} …)' in '{self.text}' has {len(arguments)} arguments, expected {wanted}"
            )
        if name == "equals" and () in arguments:
            # Upstream compares with the text "[]" here, which nobody can mean.
            raise SubstitutionError("an empty argument of '$(equals …)' is not supported")
        return Call(name, tuple(arguments))

    def _argument(self, quote: str | None) -> Template:
        opening = self._peek()
        if quote is None and opening in ("'", '"'):
            self.at += 1
            parts = self.template(opening)
            if self._peek() != opening:
                raise self._error(f"the quote {opening} is not closed")
            self.at += 1
            if self._peek() not in (" ", ")"):
                raise self._error("a quoted argument must end at its quote")
            return parts
        stops = {" ", "(", ")", quote} if quote else {" ", "(", ")", "'", '"'}
        parts = self._parts(lambda: self._peek() in stops, quote)
        if not parts:
            raise self._error("an argument is missing (arguments are parted by one space)")
        return parts

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _escaped(self) -> bool:
        return self.at > 0 and self.text[self.at - 1] == "\\"

    def _error(self, problem: str) -> SubstitutionError:
        return SubstitutionError(f"{problem}, at character {self.at + 1} of '{self.text}'")
