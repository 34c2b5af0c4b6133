"""Command lines: types of arguments that say what they expect, and commands that choose others."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

USAGE_ERROR = 2

MAX_SEED = 2**32 - 1
"""numpy's RandomState, by which gym-aloha places its objects, takes no larger seed."""


@dataclass(frozen=True)
class Choice:
    """What a command can be told to do, in a line; the module of that name (with _ for -) has
    main(argv)."""

    name: str
    does: str


def run_chosen(
    command: str,
    kind: str,
    package: str,
    choices: Sequence[Choice],
    overview: Callable[[], str],
    argv: Sequence[str],
) -> int:
    """Runs what the first word of `argv` names, with the other words; returns the exit status.
    `kind`: what one of the choices is called; `package` has their modules."""
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0 if arguments else USAGE_ERROR
    chosen = next((one for one in choices if one.name == arguments[0]), None)
    if chosen is None:
        known = ", ".join(one.name for one in choices)
        print(
            f"aloha {command}: there is no {kind} '{arguments[0]}'; there are: {known}",
            file=sys.stderr,
        )
        return USAGE_ERROR
    module = importlib.import_module(f"{package}.{chosen.name.replace('-', '_')}")
    return int(module.main(arguments[1:]))


def count(text: str) -> int:
    """A whole number from 1."""
    return _between(text, 1, 1_000_000)


def seed(text: str) -> int:
    """A seed of the twin's world."""
    return _between(text, 0, MAX_SEED)


def seconds(low: float, high: float) -> Callable[[str], float]:
    """A time within these bounds, s."""

    def of(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is outside {low:g} … {high:g} s")
        return value

    return of


def new_file(text: str) -> Path:
    """A file that can be written: its folder exists. Said before the work, not after it."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be written: no such folder, or a folder")
    return path


def _between(text: str, low: int, high: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from None
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{number} is outside {low} … {high}")
    return number
