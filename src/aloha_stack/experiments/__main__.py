"""`./aloha experiment NAME`: an experiment from its data to its report.

An experiment can be interrupted and goes on where it was. It leaves a Markdown report, plots and
the raw numbers, and ends with 0, with 1 if it cannot go on, and with 2 if the request was at fault.
"""

import sys
from collections.abc import Sequence

from aloha_stack.arguments import Choice, run_chosen

EXPERIMENTS = (
    Choice("lasa", "handwriting: a stable policy beside cloning, all 30 shapes"),
    Choice("each-layer", "pick and place: the image feature in every layer, or in the first"),
    Choice("untaught", "pick and place: the CNNRNN family at positions that were not taught"),
)


def overview() -> str:
    """The help text."""
    lines = ["usage: ./aloha experiment NAME [ARGUMENTS]", "", (__doc__ or "").strip(), ""]
    lines += [f"  {one.name:<12} {one.does}" for one in EXPERIMENTS]
    return "\n".join([*lines, "", "./aloha experiment NAME --help tells the arguments of one."])


def main(argv: Sequence[str]) -> int:
    """Runs the experiment that `argv` names; returns the exit status."""
    return run_chosen(
        "experiment", "experiment", "aloha_stack.experiments", EXPERIMENTS, overview, argv
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
