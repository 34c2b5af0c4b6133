"""`./aloha bench NAME`: figures of the stack, each beside its peer or its physical limit.

A bench prints a table, writes JSON with --json FILE, and ends with 0 if every bar that it has is
reached, with 1 if one is not, and with 2 if the request was at fault.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from aloha_stack.bench.report import USAGE_ERROR


@dataclass(frozen=True)
class Bench:
    """A bench, what it measures, and the module with its main(argv)."""

    name: str
    does: str
    module: str


BENCHES = (
    Bench("images", "four cameras to recorder and reader: frames lost, latency (3 min)", "images"),
    Bench("bus", "the Dynamixel bus: rate, missed cycles, CPU, lost replies (4 minutes)", "bus"),
    Bench("faults", "every fault on all four arms of the twin: seen, held, recovered", "faults"),
    Bench("record", "all streams for 5 minutes: messages lost, memory, closing (6 min)", "record"),
    Bench("load", "training samples a second: ours, ALOHA HDF5, LeRobot video (6 min)", "load"),
    Bench("inference", "a chunk of ACT, beside LeRobot's and the plain network", "inference"),
    Bench("loop", "chunk_player's ticks while the full-size ACT infers (2 minutes)", "loop"),
    Bench("training", "samples a second that ACT learns from, beside LeRobot's", "training"),
)


def overview() -> str:
    """The help text."""
    lines = ["usage: ./aloha bench NAME [--json FILE] [ARGUMENTS]", "", __doc__.strip(), ""]
    lines += [f"  {bench.name:<9} {bench.does}" for bench in BENCHES]
    lines += ["", "examples:", "  ./aloha bench bus --quick"]
    return "\n".join([*lines, "  ./aloha bench faults --only servo_reboot --json faults.json"])


def main(argv: Sequence[str]) -> int:
    """Runs the bench that `argv` names; returns the exit status."""
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0 if arguments else USAGE_ERROR
    bench = next((one for one in BENCHES if one.name == arguments[0]), None)
    if bench is None:
        known = ", ".join(one.name for one in BENCHES)
        print(
            f"aloha bench: there is no bench '{arguments[0]}'; there are: {known}", file=sys.stderr
        )
        return USAGE_ERROR
    module = importlib.import_module(f"aloha_stack.bench.{bench.module}")
    return int(module.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
