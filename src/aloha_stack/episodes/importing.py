"""`aloha episodes import`: ALOHA HDF5 files, raw or compressed, into episodes as recorded here."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.export_arguments import add_pictures, rate, run
from aloha_stack.episodes.export_plan import Source, look_over
from aloha_stack.episodes.folder import check_folder
from aloha_stack.episodes.hdf5_folder import hdf5_files
from aloha_stack.episodes.hdf5_layout import EXCHANGED, TRUE
from aloha_stack.episodes.hdf5_reading import hdf5_steps
from aloha_stack.episodes.imported import import_steps
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.robots import FALLBACK, robot_of
from aloha_stack.progress import Progress
from aloha_stack.robot.description import Robot

SPARE_GIB = 0.5
"""Left free on the disk."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 2 for files or a folder that cannot be used."""
    options = _parser().parse_args(argv)
    return run(lambda: _import(options))


def add_hdf5(parser: argparse.ArgumentParser) -> None:
    """What has to be known of ALOHA HDF5 files that do not tell it."""
    parser.add_argument("files", nargs="+", type=Path, help="*.hdf5 files, or folders of them")
    parser.add_argument(
        "--fps", type=rate, default=50, help="steps per second of files that do not tell it (50)"
    )
    parser.add_argument("--task", default="", help="what was done, in words")
    parser.add_argument(
        "--colours",
        choices=(TRUE, EXCHANGED),
        default="",
        help="of the JPEGs of compressed files: ALOHA's own recorders exchange red and blue "
        "(default: as the file says, else exchanged)",
    )
    add_pictures(parser)


def hdf5_sources(options: argparse.Namespace) -> list[Source]:
    """The files that the arguments name. Raises EpisodeError."""
    return [
        Source(
            path,
            partial(
                hdf5_steps,
                path,
                options.fps,
                options.cameras,
                options.size,
                options.task,
                options.colours,
            ),
        )
        for path in hdf5_files(options.files)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha episodes import",
        description=__doc__,
        epilog="example: ./aloha episodes import data/episode_0.hdf5 --out out",
    )
    add_hdf5(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder of episodes to add to"
    )
    parser.add_argument(
        "--robot",
        default="",
        help=f"whose gripper constants the numbers are in (default: as the file says, else "
        f"{FALLBACK})",
    )
    return parser


def _import(options: argparse.Namespace) -> None:
    progress = Progress()
    sources = hdf5_sources(options)
    plan = look_over(sources, progress, alike=False)
    robots = [_robot(form.robot, options.robot) for form in plan.forms]
    check_folder(options.out, min_free_gib=SPARE_GIB)
    done = 0

    def tell(pictures: int) -> None:
        nonlocal done
        done += pictures
        progress.show(f"{source.path.name}: {done} of {plan.pictures}", done / plan.pictures)

    for source, robot in zip(sources, robots, strict=True):
        for steps in source.read():
            try:
                folder = import_steps(steps, options.out, robot, tell)
            except OSError as error:
                raise EpisodeError(f"{steps.source} could not be imported: {error}") from error
            progress.say(f"{steps.source} → {folder}: {len(steps)} steps")


def _robot(noted: str, wanted: str) -> Robot:
    robot, remark = robot_of(EpisodeInfo(robot=wanted or noted or FALLBACK))
    if remark:
        raise EpisodeError(f"{remark}; name another with --robot")
    return robot
