"""`./aloha bench load`: random training samples a second, four cameras, from files that are warm.

A sample is the pictures of four cameras at one step, the state and a chunk of 100 actions; batches
of 8, in one process and with two workers, at 480×640 and at 240×320. The same steps are read as
recorded episodes (JPEG) and from the memory-mapped cache, and by the peers' means: ALOHA HDF5,
compressed and raw, opened for each sample, and LeRobot v3 video. For 240×320 the peers decode the
whole picture and shrink it. All take turns, and the median of the rounds counts.

The video is read by PyAV, which keeps the files open; with ALOHA_PEERS=PYTHON in the environment, a
Python that has lerobot, by lerobot's own LeRobotDataset too.
"""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from aloha_stack.arguments import seconds
from aloha_stack.bench.load_data import LoadData, bytes_needed, prepare, read_through, size_of
from aloha_stack.bench.options import bench_parser
from aloha_stack.bench.report import NO_TORCH, Bar, Report, Row, at_fault
from aloha_stack.bench.telling import begin, finish, give_up
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.progress import Progress

if TYPE_CHECKING:
    from aloha_stack.bench.load_contenders import Reader

EXAMPLE = """examples:
  ./aloha bench load --json load.json
  ./aloha bench load --folder DIR     (makes the files there once, and keeps them)
"""
EPISODES, LENGTH_S = 2, 10.0
SIZES = ((480, 640), (240, 320))
WORKERS = (0, 2)
ROUNDS = 5
CHUNK = 100
WARM_BYTES = 9e9
"""Of memory that the files of one size should find free, to be read from there."""

JPEG, CACHE = "JPEG episodes", "memory-mapped cache"
COMPRESSED, RAW, VIDEO = "compressed ALOHA HDF5", "raw ALOHA HDF5", "LeRobot v3 video"

AHEAD = Bar("ratio", ">=", 1.0)


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    try:
        import torch  # noqa: F401  # optional: without it there is nothing to load for
    except ImportError:
        return at_fault("load", NO_TORCH)
    progress, found = begin("load")
    if psutil.virtual_memory().available < WARM_BYTES:
        progress.say(
            f"aloha bench load: less than {WARM_BYTES / 1e9:g} GB of memory are free: the figures "
            "are those of the disk"
        )
    with ExitStack() as stack:
        folder = options.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aloha_bench_")))
        folder.mkdir(parents=True, exist_ok=True)
        needed, free = bytes_needed(EPISODES, LENGTH_S), shutil.disk_usage(folder).free
        if needed > free + size_of(folder):
            return at_fault(
                "load",
                f"the files take {needed / 1e9:.0f} GB, and {folder} has {free / 1e9:.1f} GB left; "
                "make room, or give another folder with --folder",
            )
        try:
            data = prepare(folder, EPISODES, LENGTH_S, progress.show)
            rows = _rows(data, options.seconds, progress)
        except EpisodeError as error:
            return give_up("load", progress, error)
    return finish(Report("load", rows, found), progress, options.json)


def _rows(data: LoadData, seconds: float, progress: Progress) -> list[Row]:
    from aloha_stack.bench.load_contenders import Contenders

    rows = []
    with Contenders(data, CHUNK, progress.show) as contenders:
        for height, width in SIZES:
            readers = contenders.at((height, width))
            for workers in WORKERS:
                rates = _measure(readers, workers, seconds, f"{height}×{width}", progress)
                rows += rate_rows(rates, (height, width), workers)
    return rows + _size_rows(data)


def _measure(
    readers: Mapping[str, "Reader"], workers: int, seconds: float, size: str, progress: Progress
) -> dict[str, float]:
    """Samples a second of each reader, the median of the rounds."""
    progress.show("reading all files once: they are to be warm")
    for reader in readers.values():
        read_through(*reader.files)
    found: dict[str, list[float]] = {name: [] for name in readers}
    for turn in range(ROUNDS):
        for number, (name, reader) in enumerate(readers.items()):
            if turn and reader.once:
                continue
            done = (turn * len(readers) + number) / (ROUNDS * len(readers))
            progress.show(f"{size}, {_processes(workers)}: {name}", done)
            found[name].append(reader.rate(workers, seconds))
    return {name: statistics.median(rates) for name, rates in found.items()}


def rate_rows(rates: Mapping[str, float], size: tuple[int, int], workers: int) -> list[Row]:
    """Ours beside the peers'. Names of peers begin as the constants above."""
    where = f"{size[0]}×{size[1]}, {_processes(workers)}"
    rows = []
    for ours, peer in ((JPEG, COMPRESSED), (JPEG, VIDEO), (CACHE, RAW)):
        for name in rates:
            if name.startswith(peer):
                metric = f"{ours}, {where}"
                rows.append(Row(metric, rates[ours], "samples/s", name, rates[name], AHEAD))
    return rows


def _size_rows(data: LoadData) -> list[Row]:
    raw = size_of(*data.raw) / 1e6
    forms = {
        JPEG: size_of(*data.episodes),
        COMPRESSED: size_of(*data.compressed),
        VIDEO: size_of(data.lerobot),
    }
    return [Row(f"{name}, on disk", size / 1e6, "MB", RAW, raw) for name, size in forms.items()]


def _processes(workers: int) -> str:
    return f"{workers} workers" if workers else "1 process"


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("load", __doc__, EXAMPLE)
    parser.add_argument(
        "--seconds",
        type=seconds(0.1, 60.0),
        default=2.0,
        help="of each measurement in each round (2)",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="takes the files, 9 GB, and keeps them"
    )
    return parser
