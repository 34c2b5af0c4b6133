"""Types of command-line arguments: what argparse shows when a value is none of them."""

import argparse
from pathlib import Path

MAX_SEED = 2**32 - 1
"""numpy's RandomState, by which gym-aloha places its objects, takes no larger seed."""


def count(text: str) -> int:
    """A whole number from 1."""
    return _between(text, 1, 1_000_000)


def seed(text: str) -> int:
    """A seed of the twin's world."""
    return _between(text, 0, MAX_SEED)


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
