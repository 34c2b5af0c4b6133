"""`aloha episodes convert`: ALOHA HDF5 files, raw or compressed, into a LeRobotDataset v3.0."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.episodes.export_arguments import add_lerobot, how_to_load, run
from aloha_stack.episodes.export_plan import look_over, write_all
from aloha_stack.episodes.importing import add_hdf5, hdf5_sources
from aloha_stack.episodes.lerobot_video import CODECS
from aloha_stack.episodes.lerobot_writer import SMALLER, LeRobotWriter, check_form, video_bytes
from aloha_stack.episodes.target import check_room, check_target
from aloha_stack.progress import Progress


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 2 if nothing could be converted."""
    options = _parser().parse_args(argv)
    return run(lambda: _convert(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha episodes convert",
        description=__doc__,
        epilog="example: ./aloha episodes convert data --task 'pick the cube' --out cube",
    )
    add_hdf5(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="TARGET", help="a new folder")
    add_lerobot(parser)
    return parser


def _convert(options: argparse.Namespace) -> None:
    progress = Progress()
    check_target(options.out)
    plan = look_over(hdf5_sources(options), progress)
    check_form(plan.form, plan.tasks)
    check_room(options.out, video_bytes(plan), SMALLER)
    codec = CODECS[options.codec]
    write_all(plan, options.out, lambda folder: LeRobotWriter(folder, plan.form, codec), progress)
    progress.say(f"{options.out}: {len(plan.forms)} episodes, {plan.steps} steps")
    progress.say(f"to load it: {how_to_load(options.repo_id, options.out)}")
