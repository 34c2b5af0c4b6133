"""A row for each episode in a folder: what it holds, and the quality gate's verdict on it."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.given import named_episodes
from aloha_stack.episodes.quality import VERDICTS
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import EpisodeSummary, damaged, summarise
from aloha_stack.episodes.tables import Column, table
from aloha_stack.episodes.thresholds import Thresholds, load_thresholds
from aloha_stack.progress import ProgressOf

COLUMNS = (
    Column("episode"),
    Column("task"),
    Column("steps", right=True),
    Column("seconds", right=True),
    Column("messages", right=True),
    Column("lost", right=True),
    Column("skew ms", right=True),
    Column("human", right=True),
    Column("reward", right=True),
    Column("outcome"),
    Column("verdict"),
)
REASONS_SHOWN = 4

EPILOG = """verdicts:
  good        within every threshold of config/quality.yaml
  flawed      whole, but beyond a threshold
  incomplete  cut off, interrupted, or without one of its streams
  damaged     cannot be read

examples:
  ./aloha episodes list out
  ./aloha episodes list out --verify --json list.json
"""


def main(argv: Sequence[str]) -> int:
    """Carries out the command: 0, or 2 for a folder or thresholds that cannot be read."""
    options = _parser().parse_args(list(argv))
    try:
        thresholds = load_thresholds(options.thresholds)
        paths = named_episodes(options.directory)
    except EpisodeError as error:
        print(f"aloha episodes: {error}", file=sys.stderr)
        return 2
    progress = ProgressOf(len(paths))
    summaries = [
        _row_of(path, index, thresholds, options.verify, progress)
        for index, path in enumerate(paths)
    ]
    progress.done()
    if not summaries:
        print(f"no episodes in {options.directory}")
    else:
        print(table(COLUMNS, [_cells(summary) for summary in summaries]))
        for line in _reasons(summaries):
            print(line)
        print(_count(summaries))
    if options.json:
        return _write_json(options.json, summaries)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha episodes list",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path, help="the folder that was recorded into")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    parser.add_argument(
        "--thresholds", type=Path, metavar="FILE", help="instead of config/quality.yaml"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read every byte and compare the checksums (else what was noted as it was recorded is "
        "taken, or without that all but the pictures is read)",
    )
    return parser


def _row_of(
    path: Path, index: int, thresholds: Thresholds, verify: bool, progress: ProgressOf
) -> EpisodeSummary:
    progress.tell(index, path.name)
    try:
        episode = Episode(path)
        episode.contents(
            verify, lambda done, total: progress.tell(index, path.name, done / (total or 1))
        )
        return summarise(episode, thresholds)
    except EpisodeError as error:
        return damaged(path, error)


def _cells(summary: EpisodeSummary) -> list[str]:
    best, top, skew = summary.best_reward, summary.max_reward, summary.skew
    human = summary.human_share
    return [
        Path(summary.path).name,
        summary.task or "-",
        str(summary.steps),
        f"{summary.duration_s:.1f}",
        str(summary.messages),
        str(summary.lost),
        f"{skew.median_ms:.0f}/{skew.p99_ms:.0f}" if skew is not None else "-",
        "-" if human is None else f"{human:.0%}",
        f"{best} of {top}" if best is not None else "-",
        summary.outcome or "-",
        summary.verdict + (", repaired" if summary.repaired else ""),
    ]


def _reasons(summaries: Sequence[EpisodeSummary]) -> Iterator[str]:
    for summary in summaries:
        name = Path(summary.path).name
        shown = summary.reasons[:REASONS_SHOWN]
        for reason in shown:
            yield f"{name}: {reason}"
        if len(summary.reasons) > len(shown):
            yield (
                f"{name}: and {len(summary.reasons) - len(shown)} more: ./aloha episodes inspect "
                f"{summary.path}"
            )
        for remark in summary.remarks:
            yield f"{name}: {remark}"


def _count(summaries: Sequence[EpisodeSummary]) -> str:
    counts = {name: sum(s.verdict == name for s in summaries) for name in VERDICTS}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _write_json(path: Path, summaries: list[EpisodeSummary]) -> int:
    try:
        path.write_text(json.dumps([s.as_dict() for s in summaries], indent=1) + "\n")
    except OSError as error:
        print(f"aloha episodes: cannot write {path}: {error.strerror}", file=sys.stderr)
        return 2
    return 0
