"""What the command lines of the benches have in common."""

import argparse
import tempfile
from pathlib import Path

from aloha_stack.arguments import new_file, seconds


def bench_parser(bench: str, told: str | None, example: str) -> argparse.ArgumentParser:
    """With --json; `told` is what the bench is about."""
    parser = argparse.ArgumentParser(
        prog=f"aloha bench {bench}",
        description=told,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=new_file, metavar="FILE", help="also write the figures here")
    return parser


def add_seconds(
    parser: argparse.ArgumentParser, default: float, told: str, most: float = 600.0
) -> None:
    """--seconds, of a part that takes 2 s at least."""
    told = f"{told} ({default:g})"
    parser.add_argument("--seconds", type=seconds(2.0, most), default=default, help=told)


def add_folder(parser: argparse.ArgumentParser, taken: str) -> None:
    """--folder, for what the bench leaves behind until it ends."""
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        metavar="DIR",
        help=f"takes {taken}, removed after",
    )
