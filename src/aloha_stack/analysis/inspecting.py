"""Draws one episode: joints, rates, agreement in time and what the cameras saw, as PNG and HTML."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from aloha_stack.analysis.camera_strip import plot_strip
from aloha_stack.analysis.inspect_page import page
from aloha_stack.analysis.inspect_timing import plot_agreement, plot_rates
from aloha_stack.analysis.plots import plot_joints
from aloha_stack.episodes.alignment import AlignedEpisode, align
from aloha_stack.episodes.commanders import in_words
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.frame_index import frame_indexes
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import EpisodeSummary, summarise
from aloha_stack.episodes.thresholds import load_thresholds
from aloha_stack.progress import Progress

EXAMPLE = """examples:
  ./aloha episodes inspect out/episode_000000
  ./aloha episodes inspect out/episode_000000 --out plots
"""


def main(argv: Sequence[str]) -> int:
    """Carries out the command: 0, or 2 for what cannot be read or written."""
    options = _parser().parse_args(list(argv))
    progress = Progress(sys.stderr)
    try:
        thresholds = load_thresholds(options.thresholds)
        episode = Episode(options.episode, recompute=True)
        out = options.out or Path("out") / f"inspect_{episode.path.resolve().name}"
        episode.contents(
            progress=lambda done, total: progress.show("reading", done / total if total else None)
        )
        aligned = _aligned(episode)
        summary = summarise(episode, thresholds, aligned=aligned)
        out.mkdir(parents=True, exist_ok=True)
        pictures = draw(episode, aligned, summary, out, progress)
        report = out / "inspect.html"
        report.write_text(page(summary, thresholds, pictures), encoding="utf-8")
    except EpisodeError as error:
        progress.clear()
        print(f"aloha episodes: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        progress.clear()
        print(
            f"aloha episodes: cannot write {error.filename or out}: {error.strerror}",
            file=sys.stderr,
        )
        return 2
    progress.clear()
    print(f"{episode.path.name}: {summary.verdict}{', repaired' if summary.repaired else ''}")
    for line in (*summary.reasons, *summary.remarks):
        print(f"  {line}")
    if summary.human_share is not None:
        print(f"  a rollout; steps commanded by: {in_words(summary.commanded)}")
    for path in (*pictures, report):
        print(path)
    return 0


def draw(
    episode: Episode,
    aligned: AlignedEpisode | None,
    summary: EpisodeSummary,
    out: Path,
    progress: Progress,
) -> list[Path]:
    """The pictures that can be drawn of this episode, as PNG files in the folder `out`."""
    plans: list[tuple[str, Callable[[Path], Path]]] = []
    if any(len(stream.stamps_ns) for stream in episode.contents().joints.values()):
        plans.append(("joints", partial(plot_joints, episode)))
    plans.append(("rates", partial(plot_rates, episode, summary.streams)))
    if aligned is not None:
        plans.append(("agreement", partial(plot_agreement, episode, aligned)))
    plans.append(("cameras", lambda path: plot_strip(frame_indexes(episode), path)))
    drawn = []
    for number, (name, plot) in enumerate(plans):
        progress.show(f"drawing {name}", number / len(plans))
        try:
            drawn.append(plot(out / f"{name}.png"))
        except EpisodeError as error:
            progress.say(f"no picture of the {name}: {error}")
    return drawn


def _aligned(episode: Episode) -> AlignedEpisode | None:
    """None where it cannot be aligned; the summary says why."""
    try:
        return align(episode)
    except EpisodeError:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha episodes inspect",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("episode", type=Path, help="one episode's folder")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for what it draws (out/inspect_EPISODE)"
    )
    parser.add_argument(
        "--thresholds", type=Path, metavar="FILE", help="instead of config/quality.yaml"
    )
    return parser
