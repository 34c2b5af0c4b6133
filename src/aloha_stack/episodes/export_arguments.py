"""Arguments that export, convert and import share."""

import argparse
import re
import sys
from collections.abc import Callable

from aloha_stack.episodes.errors import EpisodeError


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Which pictures, and how large."""
    parser.add_argument(
        "--cameras", nargs="+", metavar="NAME", help="only these cameras (default: all)"
    )
    parser.add_argument(
        "--size", type=size, metavar="HxW", help="bring pictures to this size, e.g. 240x320"
    )


def size(text: str) -> tuple[int, int]:
    """`HxW` in pixels."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    height, width = (int(part) for part in found.groups()) if found else (0, 0)
    if not (2 <= height <= 8192 and 2 <= width <= 8192):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; expected HxW, e.g. 240x320")
    return height, width


def rate(text: str) -> int:
    """Steps per second: a whole number, as LeRobot keeps it."""
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of 1 … 1000 steps a second")
    return int(text)


def run(work: Callable[[], None]) -> int:
    """Does it; an EpisodeError becomes a sentence and the exit status 2."""
    try:
        work()
    except EpisodeError as error:
        print(f"aloha episodes: {error}", file=sys.stderr)
        return 2
    return 0
