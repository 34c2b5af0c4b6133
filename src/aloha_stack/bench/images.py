"""`./aloha bench images`: four cameras at 50 Hz, from the camera node to who needs their pictures.

Pictures of 640x480 and 86 kB go from the camera node to the recorder, which writes an episode, and
to a reader that decodes the newest of each camera, as a policy does: three processes, in wall time.
Beside it, shorter, the same graph without config/fastdds.xml, and raw images with it and without.
Of raw images no episode is written (184 MB/s): a process that only takes the messages stands in for
the recorder, and one that sends them for the camera node.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aloha_stack.bench.footage import footage
from aloha_stack.bench.image_log import Heard
from aloha_stack.bench.images_graph import Outcome, Setting, measure
from aloha_stack.bench.node_processes import BenchFailed
from aloha_stack.bench.options import add_folder, add_seconds, bench_parser
from aloha_stack.bench.report import USAGE_ERROR, Bar, Report, Row, percentile
from aloha_stack.bench.scratch import scratch_folder
from aloha_stack.bench.telling import begin, finish, give_up, has_room
from aloha_stack.progress import Progress

EXAMPLE = """examples:
  ./aloha bench images --json images.json
  ./aloha bench images --seconds 10
"""
PEER_SECONDS = 15.0
LATENCY_MS = 20.0
BYTES_A_SECOND = 20e6
"""Of an episode with four cameras at 50 Hz, rounded up."""

NONE_LOST = Bar("value", "<=", 0.0)
IN_TIME = Bar("value", "<=", LATENCY_MS)


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    if not has_room("images", options.folder, options.seconds * BYTES_A_SECOND):
        return USAGE_ERROR
    progress, found = begin("images")
    try:
        with scratch_folder(options.folder) as folder:
            rows = _rows(folder, options.seconds, progress)
    except BenchFailed as failure:
        return give_up("images", progress, failure)
    return finish(Report("images", rows, found), progress, options.json)


def _rows(folder: Path, seconds: float, progress: Progress) -> list[Row]:
    pictures = footage(folder, count=100)
    short_s = min(PEER_SECONDS, seconds)
    outcomes = {
        (raw, profile): measure(
            Setting(raw, profile, short_s if raw or not profile else seconds),
            pictures,
            folder,
            progress.show,
        )
        for raw in (False, True)
        for profile in (True, False)
    }
    rows = outcome_rows("JPEG", outcomes[False, True], outcomes[False, False], True, short_s)
    return rows + outcome_rows("raw", outcomes[True, True], outcomes[True, False], False, short_s)


def outcome_rows(
    kind: str, ours: Outcome, defaults: Outcome, barred: bool, peer_s: float
) -> list[Row]:
    """The figures of one kind of images, beside those under Fast DDS defaults."""
    peer = f"Fast DDS defaults, {peer_s:g} s"
    rows = []
    for name, mine, its in (
        ("recorder", ours.recorder, defaults.recorder),
        ("reader", ours.reader, defaults.reader),
    ):
        lost = f"{kind}, {name}: lost of {mine.frames + mine.lost} frames"
        none = NONE_LOST if barred else None
        rows.append(Row(lost, mine.lost_percent, "%", peer, its.lost_percent, none))
        ages, its_ages = _ages(mine), _ages(its)
        until = "exposure to decoded" if len(mine.decoded_ms) else "exposure to receipt"
        for percent in (50, 99):
            value, peer_value = percentile(ages, percent), percentile(its_ages, percent)
            in_time = IN_TIME if barred and percent == 99 else None
            metric = f"{kind}, {name}: {until}, p{percent}"
            rows.append(Row(metric, value, "ms", peer, peer_value, in_time))
    overtaken, its_overtaken = (
        one.reader.frames - len(one.reader.decoded_ms) for one in (ours, defaults)
    )
    metric = f"{kind}, reader: not decoded, a newer one had come"
    rows.append(Row(metric, overtaken, "frames", peer, its_overtaken))
    unsent, its_unsent = (max(one.recorder.short, one.reader.short) for one in (ours, defaults))
    metric = f"{kind}, camera node: frames never sent"
    rows.append(Row(metric, unsent, "frames", peer, its_unsent, none))
    for name, used in ours.cpu_percent.items():
        metric = f"{kind}, {name}: CPU, of one core"
        rows.append(Row(metric, used, "%", peer, defaults.cpu_percent[name]))
    return rows


def _ages(heard: Heard) -> np.ndarray:
    return heard.decoded_ms if len(heard.decoded_ms) else heard.latency_ms


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("images", __doc__, EXAMPLE)
    add_seconds(
        parser, 60.0, f"how long the graph is measured; the others {PEER_SECONDS:g} s at most"
    )
    add_folder(parser, "the episode")
    return parser
