"""Arguments that export, convert and import share."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.lerobot_video import CODECS


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Which pictures, and how large."""
    parser.add_argument(
        "--cameras", nargs="+", metavar="NAME", help="only these cameras (default: all)"
    )
    parser.add_argument(
        "--size", type=size, metavar="HxW", help="bring pictures to this size, e.g. 240x320"
    )


def add_lerobot(parser: argparse.ArgumentParser) -> None:
    """What only a LeRobotDataset has."""
    group = parser.add_argument_group("lerobot")
    group.add_argument("--codec", choices=tuple(CODECS), default="av1", help="of the videos (av1)")
    group.add_argument(
        "--repo-id", default="local/aloha", metavar="NAME", help="what LeRobot shall call it"
    )


def how_to_load(repo_id: str, target: Path) -> str:
    """The line of Python that opens the data set."""
    return f'LeRobotDataset("{repo_id}", root="{target}")'


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
