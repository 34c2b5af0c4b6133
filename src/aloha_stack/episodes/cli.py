"""`aloha episodes list DIR`: one row per episode; `--json FILE` writes everything known of each."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import episode_paths
from aloha_stack.episodes.summary import EpisodeSummary, damaged, summarise
from aloha_stack.episodes.tables import Column, table

COLUMNS = (
    Column("episode"),
    Column("task"),
    Column("steps", right=True),
    Column("seconds", right=True),
    Column("messages", right=True),
    Column("lost", right=True),
    Column("reward", right=True),
    Column("outcome"),
    Column("verdict"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 2 for a folder that does not exist."""
    options = _parser().parse_args(argv)
    try:
        paths = episode_paths(options.directory)
    except EpisodeError as error:
        print(f"aloha episodes: {error}", file=sys.stderr)
        return 2
    summaries = [_summary(path) for path in paths]
    if not summaries:
        print(f"no episodes in {options.directory}")
    else:
        print(table(COLUMNS, [_row(summary) for summary in summaries]))
        for summary in summaries:
            for reason in summary.reasons:
                print(f"{Path(summary.path).name}: {reason}")
    if options.json:
        return _write_json(options.json, summaries)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha episodes", description=__doc__, epilog="example: ./aloha episodes list out"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="a table of the episodes in a folder")
    listing.add_argument("directory", type=Path, help="the folder that was recorded into")
    listing.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    return parser


def _summary(path: Path) -> EpisodeSummary:
    try:
        return summarise(path)
    except EpisodeError as error:
        return damaged(path, error)


def _row(summary: EpisodeSummary) -> list[str]:
    best, top = summary.best_reward, summary.max_reward
    return [
        Path(summary.path).name,
        summary.task or "-",
        str(summary.steps),
        f"{summary.duration_s:.1f}",
        str(summary.messages),
        str(summary.lost),
        f"{best} of {top}" if best is not None else "-",
        summary.outcome or "-",
        summary.verdict,
    ]


def _write_json(path: Path, summaries: list[EpisodeSummary]) -> int:
    try:
        path.write_text(json.dumps([s.as_dict() for s in summaries], indent=1) + "\n")
    except OSError as error:
        print(f"aloha episodes: cannot write {path}: {error.strerror}", file=sys.stderr)
        return 2
    return 0
