"""What every command of ./aloha says to --help."""

import contextlib
import importlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

from aloha_stack import cli

BECOMES = {name: f"aloha_stack.nodes.{name}" for name in cli.CLIENTS} | {"panel": "rqt_aloha.panel"}
"""Commands whose process becomes another: their help is that of its module's `main`."""
PANEL = Path(__file__).resolve().parents[2] / "ros2_ws/src/rqt_aloha"
WITH_SUBCOMMANDS = ("episodes", "models", "arms", "analyse", "bench")
COLUMNS = "100"


def helps() -> Iterator[tuple[str, str]]:
    """Each command, as `./aloha episodes list`, and its help."""
    for command in cli.COMMANDS:
        text = help_of(command.name)
        yield f"./aloha {command.name}", text
        if command.name in WITH_SUBCOMMANDS:
            for name in subcommands(text):
                yield f"./aloha {command.name} {name}", help_of(command.name, name)


def subcommands(text: str) -> list[str]:
    """The names that the help of a command lists: one a line, indented by two or four."""
    listed = re.split(r"^(?:options|examples?):", text, maxsplit=1, flags=re.M)[0]
    found = re.findall(r"^(?: {2}| {4})([a-z]+) +[^\s{]", listed.partition("\n\n")[2], re.M)
    return list(dict.fromkeys(found))


def help_of(name: str, *more: str) -> str:
    """What `./aloha NAME MORE --help` prints. RuntimeError if it is refused."""
    words, out = [*more, "--help"], io.StringIO()
    status: object = 0
    with (
        patch.dict(os.environ, COLUMNS=COLUMNS),
        patch.object(sys, "path", [*sys.path, str(PANEL)]),
        patch.object(os, "execv", _stay),
        contextlib.redirect_stdout(out),
    ):
        try:
            if name in BECOMES:
                status = importlib.import_module(BECOMES[name]).main(words)
            else:
                status = cli.main([name, *words])
        except SystemExit as end:
            status = end.code
    if status:
        raise RuntimeError(f"./aloha {name} {' '.join(words)} ended with status {status}")
    return out.getvalue().strip()


def _stay(_program: str, words: list[str]) -> NoReturn:
    """In place of execv, which would end this process without a word, and with status 0."""
    raise RuntimeError(f"it becomes {' '.join(words)}: give its module in BECOMES")
