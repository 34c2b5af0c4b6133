"""`./aloha bench loop`: chunk_player's ticks while the full-size ACT infers as fast as it can.

The camera node shows 86 kB pictures of 640x480 from files on four cameras, the policy node makes
chunks of them without a pause (84 million weights, seven decoder layers, not trained; or those of
--checkpoint), and chunk_player plays them at 50 Hz of wall time: processes as rollout.launch.xml
starts them. Beside them runs an empty loop, a process that does nothing but sleep to deadlines at
50 Hz; it ran alone before.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aloha_stack.bench.footage import footage
from aloha_stack.bench.loop_graph import PLAYER, Outcome, measure, measure_alone
from aloha_stack.bench.loop_ticks import Ticks
from aloha_stack.bench.node_processes import BenchFailed
from aloha_stack.bench.options import add_folder, add_seconds, bench_parser
from aloha_stack.bench.report import NO_TORCH, Bar, Report, Row, at_fault, percentile
from aloha_stack.bench.scratch import scratch_folder
from aloha_stack.bench.telling import begin, finish, give_up
from aloha_stack.policies.policy import PolicyError
from aloha_stack.progress import Progress

EXAMPLE = """examples:
  ./aloha bench loop --json loop.json
  ./aloha bench loop --seconds 20 --checkpoint models/full
"""
ALONE_S = 30.0
PICTURES = 50
BESIDE = "empty loop beside it"

EVEN = Bar("value", "<=", 2.0)
NONE = Bar("value", "<=", 0.0)


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    try:
        import torch
    except ImportError:
        return at_fault("loop", NO_TORCH)
    progress, found = begin("loop")
    try:
        with scratch_folder(options.folder) as folder:
            rows = _rows(options, folder, progress)
    except PolicyError as error:
        return at_fault("loop", str(error))
    except BenchFailed as failure:
        return give_up("loop", progress, failure)
    return finish(
        Report("loop", rows, found | {"torch": torch.__version__}), progress, options.json
    )


def _rows(options: argparse.Namespace, folder: Path, progress: Progress) -> list[Row]:
    from aloha_stack.bench.loop_model import save_untrained
    from aloha_stack.policies.checkpoint import read_config

    if options.checkpoint is None:
        progress.show("making the network")
        checkpoint = save_untrained(folder / "model")
    else:
        checkpoint = options.checkpoint.absolute()
        read_config(checkpoint)
    pictures = footage(folder, count=PICTURES)
    alone_s = min(ALONE_S, options.seconds)
    progress.show(f"an empty loop alone: {alone_s:g} s")
    alone = measure_alone(alone_s, folder)
    outcome = measure(options.seconds, checkpoint, pictures, folder, progress.show)
    return outcome_rows(outcome, alone)


def outcome_rows(found: Outcome, alone: Ticks) -> list[Row]:
    """The figures, chunk_player's beside those of the empty loop at the same time."""
    player, empty, told = found.player, found.empty, found.told
    inference_ms = [1e3 * one for one in told["inference_s"]]
    no_more = Bar("value", "<=", empty.skipped)
    skipped = f"{PLAYER}: ticks skipped, of {player.count + player.skipped}"
    return [
        *(
            Row(f"{PLAYER}: period error, {name}", value, "ms", BESIDE, its, bar)
            for name, value, its, bar in (
                ("p50", player.percentile(50), empty.percentile(50), None),
                ("p99", player.percentile(99), empty.percentile(99), EVEN),
                ("max", player.percentile(100), empty.percentile(100), None),
            )
        ),
        Row(skipped, player.skipped, "ticks", BESIDE, empty.skipped, no_more),
        Row("empty loop alone: period error, p99", alone.percentile(99), "ms"),
        Row(f"empty loop alone: ticks skipped, of {alone.count}", alone.skipped, "ticks"),
        *(
            Row(f"tick to command heard, p{percent}", percentile(found.heard_ms, percent), "ms")
            for percent in (50, 99)
        ),
        Row("a chunk, median", statistics.median(inference_ms or [np.nan]), "ms"),
        Row("a chunk, slowest", max(inference_ms, default=np.nan), "ms"),
        Row("chunks played", told["chunks"], "chunks"),
        Row("chunks refused", told["refused"], "chunks"),
        Row("holds", told["holds"], "times"),
        Row("held, for want of a chunk", told["held_s"], "s"),
        Row("commands: gaps", told["gaps"], "ticks"),
        Row("commands: jumps", told["jumps"], "times", bar=NONE),
        *(Row(f"{name}: CPU, of one core", used, "%") for name, used in found.cpu_percent.items()),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("loop", __doc__, EXAMPLE)
    add_seconds(parser, 60.0, "how long the ticks are measured")
    parser.add_argument("--checkpoint", type=Path, metavar="FOLDER", help="the policy to run")
    add_folder(parser, "a network of 340 MB and pictures")
    return parser
