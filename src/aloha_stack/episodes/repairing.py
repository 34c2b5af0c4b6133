"""`./aloha episodes repair`: closes what a dead recorder left, and says what was kept."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import episode_paths
from aloha_stack.episodes.metadata import FILE_NAME
from aloha_stack.episodes.repair import DONE, WHOLE, Repair, repair

USAGE_ERROR = 2

DESCRIPTION = """Closes the episodes that a kill -9, a full disk or a loss of power left open.

Everything up to the last whole message is kept, and the file gets its index, so that rosbag2,
Foxglove and the mcap reader open it. Episodes that are whole are not touched, and one that is
being recorded is refused."""

EPILOG = """The status is 0 if all episodes are whole now, 1 if one could not be repaired, 2 if
the request was at fault. With --dry-run it is 0 if they are or could be made whole.

examples:
  ./aloha episodes repair out
  ./aloha episodes repair --dry-run out/episode_000007
"""


def main(argv: Sequence[str]) -> int:
    """Carries out the command; its status is described in its help."""
    options = _parser().parse_args(list(argv))
    try:
        episodes = [found for path in options.paths for found in _episodes(path)]
    except EpisodeError as error:
        print(f"aloha episodes: {error}", file=sys.stderr)
        return USAGE_ERROR
    done: list[Repair] = []
    failed = 0
    for episode in episodes:
        try:
            one = repair(episode, options.dry_run)
        except EpisodeError as error:
            failed += 1
            print(f"aloha episodes: {error}", file=sys.stderr)
        except OSError as error:
            failed += 1
            print(
                f"aloha episodes: {episode} could not be repaired: {error.strerror or error}; "
                "nothing of it is lost; make room on the disk, or check its permissions, and "
                "repair it again",
                file=sys.stderr,
            )
        else:
            done.append(one)
            if one.state != WHOLE:
                print(_sentence(one))
    print(_count(done, failed))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha episodes repair",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="an episode, or the folder that was recorded into",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be done; change nothing"
    )
    return parser


def _episodes(path: Path) -> list[Path]:
    """The episode at `path`, or those in it. Raises EpisodeError if there is none."""
    if (path / FILE_NAME).exists() or any(path.glob("*.mcap")) or _numbered(path):
        return [path]
    return episode_paths(path)


def _numbered(path: Path) -> bool:
    """Whether this is an episode by its name: one in which the recorder made nothing else yet."""
    return path.is_dir() and path.resolve() in episode_paths(path.resolve().parent)


def _sentence(one: Repair) -> str:
    kept = f"{one.messages} messages, {one.seconds:.2f} s, {one.size / 1e6:.1f} MB"
    words = f"{one.path.name}: {one.state}, {one.what}; kept {kept}"
    if one.cut:
        words += f"; not kept {one.cut} bytes, about {one.cut_s:.2f} s"
    if one.saved is not None:
        words += f", saved in {one.saved.name}"
    return words


def _count(done: Sequence[Repair], failed: int) -> str:
    repaired = sum(one.state == DONE for one in done)
    whole = sum(one.state == WHOLE for one in done)
    parts = [f"{whole} whole", f"{repaired} repaired"]
    if len(done) > whole + repaired:
        parts.append(f"{len(done) - whole - repaired} to be repaired")
    if failed:
        parts.append(f"{failed} not repaired")
    count = len(done) + failed
    return f"{count} episode{'' if count == 1 else 's'}: {', '.join(parts)}"
