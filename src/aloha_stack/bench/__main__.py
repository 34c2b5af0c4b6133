"""`./aloha bench NAME`: figures of the stack, each beside its peer or its physical limit.

A bench prints a table, writes JSON with --json FILE, and ends with 0 if every bar that it has is
reached, with 1 if one is not, and with 2 if the request was at fault.
"""

import sys
from collections.abc import Sequence

from aloha_stack.arguments import Choice, run_chosen

BENCHES = (
    Choice("images", "four cameras to recorder and reader: frames lost, latency (3 min)"),
    Choice("bus", "the Dynamixel bus: rate, missed cycles, CPU, lost replies (4 minutes)"),
    Choice("faults", "every fault on all four arms of the twin: seen, held, recovered"),
    Choice("record", "all streams for 5 minutes: messages lost, memory, closing (6 min)"),
    Choice("load", "training samples a second: ours, ALOHA HDF5, LeRobot video (6 min)"),
    Choice("inference", "a chunk of ACT, beside LeRobot's and the plain network"),
    Choice("loop", "chunk_player's ticks while the full-size ACT infers (2 minutes)"),
    Choice("gui", "the panel: its CPU, and ticks lost when it opens, hangs or closes (2 min)"),
    Choice("training", "samples a second that ACT learns from, beside LeRobot's"),
    Choice("vinn", "a question to 100,000 demonstrated steps, beside one pass over them"),
)


def overview() -> str:
    """The help text."""
    lines = ["usage: ./aloha bench NAME [--json FILE] [ARGUMENTS]", "", __doc__.strip(), ""]
    lines += [f"  {bench.name:<9} {bench.does}" for bench in BENCHES]
    lines += ["", "examples:", "  ./aloha bench bus --quick"]
    return "\n".join([*lines, "  ./aloha bench faults --only servo_reboot --json faults.json"])


def main(argv: Sequence[str]) -> int:
    """Runs the bench that `argv` names; returns the exit status."""
    return run_chosen("bench", "bench", "aloha_stack.bench", BENCHES, overview, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
