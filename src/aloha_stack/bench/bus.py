"""`./aloha bench bus`: the Dynamixel bus in wall time, on emulated lines at 1 Mbaud.

Nothing is rendered and no physics runs. Every arm's nine servos are emulated in a process of their
own, whose answers take the time of their bytes on the wire; that this is so is checked first.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from aloha_stack.bench.bus_four import four_arm_rows
from aloha_stack.bench.bus_line import lost_reply_rows, rate_rows
from aloha_stack.bench.bus_nodes import node_rows
from aloha_stack.bench.emulator import Emulator, bench_robot
from aloha_stack.bench.options import bench_parser
from aloha_stack.bench.report import Report
from aloha_stack.bench.telling import begin, finish

EXAMPLE = """examples:
  ./aloha bench bus --json bus.json
  ./aloha bench bus --quick
"""
ONE_ARM = "follower_left"


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    quick = options.quick
    progress, found = begin("bus")
    with tempfile.TemporaryDirectory(prefix="aloha_bench_") as name, ExitStack() as stack:
        folder = Path(name)
        robot = bench_robot(folder)
        arms = list(robot.arms.values())
        progress.show("starting the emulators")
        line = robot.arm(ONE_ARM)
        with Emulator(folder, line, spins=True) as emulator:
            rows = rate_rows(line, emulator, 1.0, 3 if quick else 15, progress.show)
            rows += lost_reply_rows(line, emulator, 21 if quick else 70, progress.show)
        for arm in arms:
            stack.enter_context(Emulator(folder, arm))
        rows += four_arm_rows(folder, *((5.0, 3.0) if quick else (60.0, 20.0)), progress.show)
        rows += node_rows(folder, arms, 5.0 if quick else 15.0, progress.show)
    return finish(Report("bus", rows, found), progress, options.json)


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("bus", __doc__, EXAMPLE)
    parser.add_argument("--quick", action="store_true", help="half a minute, coarse figures")
    return parser
