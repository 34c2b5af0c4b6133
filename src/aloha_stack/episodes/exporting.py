"""`aloha episodes export`: recorded episodes as a LeRobotDataset v3.0, or as ALOHA HDF5 files.

Each stretch without a pause or a gap becomes an episode of its own: no policy learns a jump.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from aloha_stack.episodes.aligned_steps import recorded_steps
from aloha_stack.episodes.alignment import AlignmentSettings
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.export_arguments import add_lerobot, add_pictures, how_to_load, rate, run
from aloha_stack.episodes.export_plan import Plan, Sink, Source, look_over, write_all
from aloha_stack.episodes.given import check_once, named_episodes
from aloha_stack.episodes.hdf5_folder import Hdf5Folder, raw_bytes
from aloha_stack.episodes.lerobot_video import CODECS
from aloha_stack.episodes.lerobot_writer import SMALLER, LeRobotWriter, check_form, video_bytes
from aloha_stack.episodes.quality import DAMAGED, GOOD
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.step_grid import METHODS
from aloha_stack.episodes.steps import SAME_RATE
from aloha_stack.episodes.summary import damaged, summarise
from aloha_stack.episodes.target import check_room, check_target
from aloha_stack.progress import Progress

HDF5, LEROBOT = "hdf5", "lerobot"

CAMERAS_OWN = (
    "the JPEGs are the cameras' own: cv2.imdecode gives BGR. For act-plus-plus and other readers "
    "that take it for RGB: --exchange-colours"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 2 if nothing could be exported."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.exchange_colours and not options.compress:
        parser.error("--exchange-colours goes with --compress: raw pictures are RGB")
    return run(lambda: _export(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha episodes export",
        description=__doc__,
        epilog="example: ./aloha episodes export out --format lerobot --out cube",
    )
    parser.add_argument(
        "episodes", nargs="+", type=Path, help="episodes, or folders that were recorded into"
    )
    parser.add_argument("--format", choices=(LEROBOT, HDF5), required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="TARGET", help="a new folder")
    parser.add_argument(
        "--only-good", action="store_true", help="only episodes with the verdict good"
    )
    parser.add_argument("--task", default="", help="in place of the task that was recorded")
    add_pictures(parser)
    steps = parser.add_argument_group("steps")
    steps.add_argument("--fps", type=rate, default=50, help="steps per second (50)")
    steps.add_argument(
        "--method",
        choices=METHODS,
        help="how samples are chosen (nearest; of an imported episode: as its steps were)",
    )
    add_lerobot(parser)
    hdf5 = parser.add_argument_group("hdf5")
    hdf5.add_argument("--compress", action="store_true", help="keep the cameras' own JPEGs")
    hdf5.add_argument(
        "--exchange-colours",
        action="store_true",
        help="with --compress: encode anew with red and blue exchanged, as ALOHA's recorders do",
    )
    return parser


def _export(options: argparse.Namespace) -> None:
    progress = Progress()
    check_target(options.out)
    settings = AlignmentSettings(step_hz=options.fps, method=options.method)
    paths = _chosen(_episodes(options.episodes), options.only_good, progress)
    sources = [
        Source(
            path,
            partial(recorded_steps, path, settings, options.cameras, options.size, options.task),
        )
        for path in paths
    ]
    plan = look_over(sources, progress)
    if options.format == LEROBOT:
        check_form(plan.form, plan.tasks)
        check_room(options.out, video_bytes(plan), SMALLER)
    elif not options.compress:
        check_room(options.out, raw_bytes(plan), "choose --compress or a smaller --size")
    for name, hz in plan.form.rates.items():
        if hz and hz < options.fps * (1 - SAME_RATE):
            progress.say(f"{name} has {hz:.1f} Hz: at {options.fps} steps a second pictures repeat")
    write_all(plan, options.out, lambda folder: _sink(options, folder, plan), progress)
    progress.say(
        f"{options.out}: {len(plan.forms)} episodes from {len(paths)} recorded, {plan.steps} steps"
    )
    if options.format == HDF5 and options.compress and not options.exchange_colours:
        progress.say(CAMERAS_OWN)
    if options.format == LEROBOT:
        progress.say(f"to load it: {how_to_load(options.repo_id, options.out)}")


def _sink(options: argparse.Namespace, folder: Path, plan: Plan) -> Sink:
    if options.format == HDF5:
        return Hdf5Folder(folder, options.compress, options.exchange_colours)
    return LeRobotWriter(folder, plan.form, CODECS[options.codec])


def _episodes(given: Sequence[Path]) -> list[Path]:
    """Each of `given` is an episode, or a folder of episodes."""
    found: list[Path] = []
    for path in given:
        found += named_episodes(path)
    if not found:
        raise EpisodeError(f"no episodes in {', '.join(map(str, given))}")
    check_once(found)
    return found


def _chosen(paths: list[Path], only_good: bool, progress: Progress) -> list[Path]:
    """Says of each episode that is not good why, and leaves it out if `only_good`.

    Reads every byte and compares the checksums; what is damaged is exported by no means. Raises
    EpisodeError.
    """
    chosen, broken = [], []
    doing = "left out" if only_good else "goes along (not so with --only-good)"
    for number, path in enumerate(paths):
        progress.show(f"checking {path.name}", number / len(paths))
        try:
            episode = Episode(path)
            episode.contents(verify=True)
            summary = summarise(episode)
        except EpisodeError as error:
            summary = damaged(path, error)
        if summary.verdict == DAMAGED and not only_good:
            broken += [f"- {path} is damaged: {reason}" for reason in summary.reasons]
        elif summary.verdict != GOOD:
            progress.say(f"{doing}: {path} is {summary.verdict}: {'; '.join(summary.reasons)}")
        if summary.verdict == GOOD or not only_good:
            chosen.append(path)
    if broken:
        raise EpisodeError("nothing was written:\n" + "\n".join(broken))
    if not chosen:
        raise EpisodeError("none of the episodes is good; aloha episodes list tells why")
    return chosen
