"""`./aloha report`: a session on one HTML page that needs no other file, also while damaged."""

import argparse
import shutil
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.analysis.report_episode import Reported, drawn
from aloha_stack.analysis.report_page import Session, page
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import DISCARDED, episode_paths
from aloha_stack.episodes.given import named_episodes
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import damaged, summarise
from aloha_stack.episodes.thresholds import Thresholds, load_thresholds
from aloha_stack.episodes.world_notes import noted_variation
from aloha_stack.progress import ProgressOf

DESCRIPTION = """One HTML page about the episodes of a folder, with nothing outside of it: verdicts
and their reasons, success rates, joints, what the cameras saw, rates and losses, who was in
command. It opens without a network, in light and dark, and can be printed.
"""

PAGE = "report.html"
"""Its name in the folder of the episodes."""

EXAMPLE = """examples:
  ./aloha report episodes
  ./aloha report episodes --last 20 --open
  ./aloha report out/episode_000003 --out flawed.html
"""


def main(argv: Sequence[str]) -> int:
    """Carries out the command: 0, or 2 for what cannot be read or written."""
    options = _parser().parse_args(list(argv))
    folder: Path = options.directory
    try:
        thresholds = load_thresholds(options.thresholds)
        paths = named_episodes(folder)
        out = options.out or folder / PAGE
        if paths == [folder]:
            out = options.out or folder.resolve().with_suffix(".html")
            folder = folder.resolve().parent
        session = session_of(folder, paths, thresholds, options.last)
        write(out, session)
    except EpisodeError as error:
        print(f"aloha report: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        what = error.filename or out
        print(f"aloha report: cannot write {what}: {error.strerror}", file=sys.stderr)
        return 2
    if not session.episodes:
        more = (
            f"; there are some in its {', '.join(session.elsewhere)}" if session.elsewhere else ""
        )
        print(f"no episodes in {folder}{more}")
    print(out)
    if options.open and not webbrowser.open(out.resolve().as_uri()):
        print("there is no browser to open it in", file=sys.stderr)
    return 0


def session_of(
    folder: Path, paths: Sequence[Path], thresholds: Thresholds, last: int | None = None
) -> Session:
    """The session of these episodes in `folder`, or of the last ones. Raises OSError."""
    chosen = paths[-last:] if last else paths
    return Session(
        folder,
        _reported(chosen, thresholds),
        len(paths) - len(chosen),
        *_around(folder),
        shutil.disk_usage(folder).free,
    )


def report_of(path: Path, thresholds: Thresholds) -> Reported:
    """What the page says of one episode, a damaged one too."""
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    try:
        episode = Episode(path)
        summary = summarise(episode, thresholds)
        return Reported(
            summary,
            size,
            episode.info.notes.get("recorded_at", ""),
            ", ".join(dict.fromkeys(filter(None, (f.written_by() for f in episode.files)))),
            noted_variation(episode.info),
            drawn(episode),
        )
    except EpisodeError as error:
        return Reported(damaged(path, error), size)


def _reported(paths: Sequence[Path], thresholds: Thresholds) -> list[Reported]:
    progress, found = ProgressOf(len(paths)), []
    for index, path in enumerate(paths):
        progress.tell(index, path.name)
        found.append(report_of(path, thresholds))
    progress.done()
    return found


def _around(folder: Path) -> tuple[int, list[str]]:
    """How many episodes were discarded, and which other folders in it hold some."""
    holding = {
        inside.name: len(episode_paths(inside))
        for inside in sorted(folder.iterdir())
        if inside.is_dir()
    }
    others = [name for name, count in holding.items() if count and name != DISCARDED]
    return holding.get(DISCARDED, 0), others


def write(out: Path, session: Session) -> None:
    """At once: what was there stays until the new page is whole. Raises OSError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(f".{out.name}.new")
    try:
        new.write_text(page(session), encoding="utf-8")
        new.replace(out)
    finally:
        new.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha report",
        description=DESCRIPTION,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path, help="a folder of episodes, or one episode")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the page (report.html in the folder)"
    )
    parser.add_argument(
        "--last", type=_count, metavar="N", help="only the N newest episodes of the folder"
    )
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument(
        "--thresholds", type=Path, metavar="FILE", help="instead of config/quality.yaml"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1")
    return int(text)
