"""Reads one launch XML file into elements that remember their line."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from aloha_stack.launch.errors import LaunchError, LaunchFileError


@dataclass
class Element:
    """One XML element: tag, attributes as written, child elements, and where it stands."""

    tag: str
    attributes: dict[str, str]
    file: Path
    line: int
    children: list["Element"] = field(default_factory=list)

    def error(self, problem: str) -> LaunchFileError:
        """The error that says `problem` about this element, to be raised by the caller."""
        return LaunchFileError(self.file, self.line, problem)

    def named(self, *tags: str) -> list["Element"]:
        """The children with one of these tags, in the order of the file."""
        return [child for child in self.children if child.tag in tags]


def read_elements(file: Path) -> Element:
    """The root element of `file`.

    Raises:
        LaunchError: the file cannot be read; `LaunchFileError` where it is not XML, or holds text
            between its elements (it would have no meaning, so it is a slip).
    """
    try:
        content = file.read_bytes()
    except OSError as problem:
        raise LaunchError(f"{file}: cannot be read: {problem.strerror}") from problem
    parser = expat.ParserCreate()
    open_elements: list[Element] = []
    roots: list[Element] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, file, parser.CurrentLineNumber)
        (open_elements[-1].children if open_elements else roots).append(element)
        open_elements.append(element)

    def end(_tag: str) -> None:
        open_elements.pop()

    def text(data: str) -> None:
        if data.strip():
            problem = f"text '{data.strip()}' inside <{open_elements[-1].tag}> has no meaning here"
            raise LaunchFileError(file, parser.CurrentLineNumber, problem)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(content, True)
    except expat.ExpatError as problem:
        message = f"not well-formed XML: {expat.ErrorString(problem.code)}"
        raise LaunchFileError(file, problem.lineno, message) from problem
    return roots[0]
