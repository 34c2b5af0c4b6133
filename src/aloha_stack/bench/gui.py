"""`./aloha bench gui`: what the operator's panel costs, and that it costs the robot no tick.

Cameras, a small policy, chunk_player and one arm's bridge run as on a robot. The panel (without a
screen, with pictures of all four cameras) opens, is looked at, hangs (SIGSTOP), goes on and closes
meanwhile. chunk_player's ticks at 50 Hz stand beside those of an empty loop at the very same time,
the bridge's cycles at 100 Hz while the panel hangs beside those while it is looked at.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from aloha_stack.bench.footage import footage
from aloha_stack.bench.gui_graph import Phase, measure
from aloha_stack.bench.gui_life import ALONE, HUNG, PHASES, SHOWN
from aloha_stack.bench.node_processes import BenchFailed
from aloha_stack.bench.options import add_folder, add_seconds, bench_parser
from aloha_stack.bench.report import FAILED, NO_TORCH, Bar, Report, Row, at_fault, busy, machine
from aloha_stack.bench.scratch import scratch_folder
from aloha_stack.progress import Progress

EXAMPLE = """example:
  ./aloha bench gui --seconds 10 --json gui.json
"""
PICTURES = 20
MOST_CPU, LEAST_PREVIEWS_HZ = 25.0, 36.0
"""%, of one core; of four cameras at ten pictures a second each, less what the edges hide."""


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    try:
        import torch
    except ImportError:
        return at_fault("gui", NO_TORCH)
    progress, found = Progress(), machine()
    if warning := busy(found):
        progress.say(f"aloha bench gui: {warning}")
    try:
        with scratch_folder(options.folder) as folder:
            progress.show("making a policy and pictures")
            phases = measure(
                options.seconds,
                _small_policy(folder / "model"),
                footage(folder, count=PICTURES),
                folder,
                progress.show,
            )
    except BenchFailed as failure:
        progress.say(f"aloha bench gui: {failure}")
        return FAILED
    report = Report("gui", phase_rows(phases), found | {"torch": torch.__version__})
    progress.say(report.table())
    if options.json:
        report.write(options.json)
    return report.status


def phase_rows(phases: Mapping[str, Phase]) -> list[Row]:
    """The figures. A tick is lost to the panel if neither the empty loop lost one at that time nor
    chunk_player as many in the same time before the panel was there."""
    shown, hung = phases[SHOWN], phases[HUNG]
    awake = "panel looked at"
    rows = [
        Row("panel: CPU, of one core", shown.cpu_percent, "%", bar=Bar("value", "<=", MOST_CPU)),
        Row(
            "panel: pictures shown, four cameras",
            shown.previews_hz,
            "1/s",
            bar=Bar("value", ">=", LEAST_PREVIEWS_HZ),
        ),
    ]
    alone = phases[ALONE]
    for name in PHASES:
        one = phases[name]
        ticked = one.player.count + one.player.skipped
        before = math.ceil(alone.player.skipped * one.seconds / alone.seconds)
        bar = None if name == ALONE else Bar("value", "<=", max(before, one.empty.skipped))
        metric = f"chunk_player, panel {name}: ticks skipped, of {ticked}"
        rows.append(Row(metric, one.player.skipped, "ticks", "empty loop", one.empty.skipped, bar))
    late = Bar("value", "<=", max(shown.bridge_late, 2.0 * hung.empty.skipped))
    return [
        *rows,
        Row(
            "bridge, panel hung: cycles late", hung.bridge_late, "", awake, shown.bridge_late, late
        ),
        Row("bridge, panel hung: cycles", hung.bridge_hz, "1/s", awake, shown.bridge_hz),
    ]


def _small_policy(folder: Path) -> Path:
    """Its size does not matter here; that it infers all the time does."""
    from aloha_stack.bench.loop_model import save_untrained
    from aloha_stack.policies.act_config import ActConfig

    small = ActConfig(
        hidden=16,
        heads=2,
        feedforward=16,
        encoder_layers=1,
        decoder_layers=1,
        cvae_layers=1,
        backbone="light",
        stages=(8, 8),
        stem_kernel=16,
        stem_stride=16,
    )
    return save_untrained(folder, small)


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("gui", __doc__, EXAMPLE)
    add_seconds(parser, 10.0, "how long the panel is away, looked at, and hangs, each")
    add_folder(parser, "pictures and logs")
    return parser
