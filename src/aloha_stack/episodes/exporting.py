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
from aloha_stack.episodes.folder import episode_paths
from aloha_stack.episodes.hdf5_folder import Hdf5Folder
from aloha_stack.episodes.lerobot_video import CODECS
from aloha_stack.episodes.lerobot_writer import LeRobotWriter, check_form
from aloha_stack.episodes.metadata import FILE_NAME
from aloha_stack.episodes.quality import GOOD
from aloha_stack.episodes.step_grid import METHODS, NEAREST
from aloha_stack.episodes.summary import summarise
from aloha_stack.episodes.target import check_target
from aloha_stack.progress import Progress

HDF5, LEROBOT = "hdf5", "lerobot"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 2 if nothing could be exported."""
    options = _parser().parse_args(argv)
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
    parser.add_argument("--only-good", action="store_true", help="leave out what the gate found")
    parser.add_argument("--task", default="", help="in place of the task that was recorded")
    add_pictures(parser)
    steps = parser.add_argument_group("steps")
    steps.add_argument("--fps", type=rate, default=50, help="steps per second (50)")
    steps.add_argument("--method", choices=METHODS, default=NEAREST, help="how samples are chosen")
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
    write_all(plan, options.out, lambda folder: _sink(options, folder, plan), progress)
    progress.say(
        f"{options.out}: {len(plan.forms)} episodes of {len(paths)} recorded, {plan.steps} steps"
    )
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
        found += [path] if (path / FILE_NAME).exists() else episode_paths(path)
    if not found:
        raise EpisodeError(f"no episodes in {', '.join(map(str, given))}")
    return found


def _chosen(paths: list[Path], only_good: bool, progress: Progress) -> list[Path]:
    if not only_good:
        return paths
    good = []
    for number, path in enumerate(paths):
        progress.show(f"judging {path.name}", number / len(paths))
        try:
            verdict, reasons = summarise(path).verdict, ""
        except EpisodeError as error:
            verdict, reasons = "damaged", str(error)
        if verdict == GOOD:
            good.append(path)
        else:
            progress.say(f"left out: {path} is {verdict} {reasons}".rstrip())
    if not good:
        raise EpisodeError("none of the episodes is good; aloha episodes list tells why")
    return good
