"""`./aloha bench record`: five minutes of all streams of the robot `aloha`, recorded.

The camera node shows 86 kB pictures of 640x480 from files on four cameras, at the rates that
the robot's file gives them; one process publishes the joints, executed commands, states and status
that the bridges and the other nodes publish; the recorder writes an episode: three processes, in
wall time. What counts as closed and listed: the recorder has answered that the episode is closed,
and its row of `./aloha episodes list` is there, with the verdict. That row is made of what was kept
beside the file while it was written; it is compared with the one that a reading of the file gives.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from aloha_stack.bench.footage import footage
from aloha_stack.bench.node_processes import BenchFailed
from aloha_stack.bench.options import add_folder, add_seconds, bench_parser
from aloha_stack.bench.record_graph import RECORDER, Outcome, measure
from aloha_stack.bench.report import USAGE_ERROR, Bar, Report, Row
from aloha_stack.bench.scratch import scratch_folder
from aloha_stack.bench.telling import begin, finish, give_up, has_room

EXAMPLE = """examples:
  ./aloha bench record --json record.json
  ./aloha bench record --seconds 20
"""
SECONDS = 300.0
BYTES_A_SECOND = 25e6
"""Of an episode with four cameras at 60 Hz, rounded up."""

PARTS = 5
"""The first and the last so many of them are compared: a minute each of five."""

NONE = Bar("value", "<=", 0.0)
CLOSED = Bar("value", "<=", 0.5)
RESIDENT = Bar("value", "<=", 300.0)
FLAT = Bar("ratio", "<=", 1.1)


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    if not has_room("record", options.folder, options.seconds * BYTES_A_SECOND):
        return USAGE_ERROR
    progress, found = begin("record")
    try:
        with scratch_folder(options.folder) as folder:
            pictures = footage(folder, count=100)
            rows = outcome_rows(measure(options.seconds, pictures, folder, progress.show))
    except BenchFailed as failure:
        return give_up("record", progress, failure)
    return finish(Report("record", rows, found), progress, options.json)


def outcome_rows(found: Outcome) -> list[Row]:
    """The figures of a recording."""
    closing, file = found.closing, found.file
    unwritten = abs(found.told_messages - file.messages)
    first, last = _ends(found.resident_mb)
    raw = "raw ALOHA HDF5"
    return [
        Row(f"lost of {file.messages} messages, by numbers", file.missing, "messages", bar=NONE),
        Row("lost, as the recorder counts", found.told_lost, "messages", bar=NONE),
        Row("told as written, and not in the file", unwritten, "messages", bar=NONE),
        Row("camera node: frames never sent", file.unsent, "frames", bar=NONE),
        Row("end asked to closed and listed", closing.stop_s + closing.row_s, "s", bar=CLOSED),
        Row("  end asked to closed", closing.stop_s, "s"),
        Row("  its row with the verdict", closing.row_s, "s", "from the file", closing.reading_s),
        Row("  the two rows differ", int(not closing.same), "rows", bar=NONE),
        Row("the command `episodes list` after it", closing.command_s, "s"),
        Row("recorder: resident, most", float(found.resident_mb.max()), "MB", bar=RESIDENT),
        Row(f"recorder: resident, last 1/{PARTS}", last, "MB", f"first 1/{PARTS}", first, FLAT),
        Row("file", found.file_bytes / 1e6, "MB", raw, found.raw_bytes / 1e6),
        *(
            Row(f"{name}: CPU, of one core", used, "%")
            for name, used in sorted(found.cpu_percent.items(), key=lambda i: i[0] != RECORDER)
        ),
    ]


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Medians of the first and the last part."""
    count = max(1, len(values) // PARTS)
    return float(np.median(values[:count])), float(np.median(values[-count:]))


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("record", __doc__, EXAMPLE)
    add_seconds(parser, SECONDS, "length of the episode", 1800.0)
    add_folder(parser, "the episode")
    return parser
