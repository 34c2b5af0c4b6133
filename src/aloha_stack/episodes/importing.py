"""`aloha episodes import`: ALOHA HDF5 files, raw or compressed, into episodes as recorded here."""

import argparse
import contextlib
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.export_arguments import add_pictures, rate, run
from aloha_stack.episodes.export_plan import Source, look_over
from aloha_stack.episodes.folder import check_folder, free_gib
from aloha_stack.episodes.hdf5_folder import hdf5_files
from aloha_stack.episodes.hdf5_layout import EXCHANGED, TRUE
from aloha_stack.episodes.hdf5_reading import hdf5_steps
from aloha_stack.episodes.imported import import_steps
from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.episodes.reach import check_reach
from aloha_stack.episodes.robots import FALLBACK, robot_of
from aloha_stack.episodes.steps import EpisodeSteps, check_numbers
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


def hdf5_sources(options: argparse.Namespace, robot: str = "") -> list[Source]:
    """The files that the arguments name, of `robot` or the one that they tell. Raises
    EpisodeError."""
    return [
        Source(path, partial(_checked_steps, path, options, robot))
        for path in hdf5_files(options.files)
    ]


def _checked_steps(path: Path, options: argparse.Namespace, robot: str) -> Iterator[EpisodeSteps]:
    """Of one file. Raises EpisodeError."""
    for steps in hdf5_steps(
        path, options.fps, options.cameras, options.size, options.task, options.colours
    ):
        check_numbers(steps)
        check_reach(steps, robot_of(EpisodeInfo(robot=robot or steps.robot or FALLBACK))[0])
        yield steps


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
    sources = hdf5_sources(options, options.robot)
    plan = look_over(sources, progress, alike=False)
    robots = [_robot(form.robot, options.robot) for form in plan.forms]
    free = free_gib(options.out)
    if free < SPARE_GIB:
        raise EpisodeError(
            f"the disk of {options.out} is too full: {free:.2f} GiB are free, {SPARE_GIB} GiB have "
            "to be left; make room, or choose another --out"
        )
    known = options.out.exists()
    check_folder(options.out, min_free_gib=0.0)
    done = 0

    def tell(pictures: int) -> None:
        nonlocal done
        done += pictures
        progress.show(f"{source.path.name}: {done} of {plan.pictures}", done / plan.pictures)

    made: list[Path] = []
    try:
        for source, robot in zip(sources, robots, strict=True):
            for steps in source.read():
                try:
                    made.append(import_steps(steps, options.out, robot, tell))
                except OSError as error:
                    raise EpisodeError(f"{steps.source} could not be imported: {error}") from error
                progress.say(f"{steps.source} → {made[-1]}: {len(steps)} steps")
    except BaseException:  # all or nothing: the next try would make the first ones once more
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        if not known:
            with contextlib.suppress(OSError):  # somebody else's is in it by now
                options.out.rmdir()
        if made:
            progress.say(f"nothing was imported: {len(made)} episodes were taken away again")
        raise


def _robot(noted: str, wanted: str) -> Robot:
    robot, remark = robot_of(EpisodeInfo(robot=wanted or noted or FALLBACK))
    if remark:
        raise EpisodeError(f"{remark}; name another with --robot")
    return robot
