"""`./aloha experiment NAME`: an experiment from its data to its report.

An experiment can be interrupted and goes on where it was. It leaves a Markdown report, plots and
the raw numbers, and ends with 0, with 1 if it cannot go on, and with 2 if the request was at fault.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

USAGE_ERROR = 2


@dataclass(frozen=True)
class Experiment:
    """An experiment, what it asks, and the module with its main(argv)."""

    name: str
    asks: str
    module: str


EXPERIMENTS = (
    Experiment("lasa", "handwriting: a stable policy beside cloning, all 30 shapes", "lasa"),
)


def overview() -> str:
    """The help text."""
    lines = ["usage: ./aloha experiment NAME [ARGUMENTS]", "", (__doc__ or "").strip(), ""]
    lines += [f"  {one.name:<12} {one.asks}" for one in EXPERIMENTS]
    return "\n".join([*lines, "", "./aloha experiment NAME --help tells the arguments of one."])


def main(argv: Sequence[str]) -> int:
    """Runs the experiment that `argv` names; returns the exit status."""
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0 if arguments else USAGE_ERROR
    chosen = next((one for one in EXPERIMENTS if one.name == arguments[0]), None)
    if chosen is None:
        known = ", ".join(one.name for one in EXPERIMENTS)
        print(
            f"aloha experiment: there is no experiment '{arguments[0]}'; there are: {known}",
            file=sys.stderr,
        )
        return USAGE_ERROR
    module = importlib.import_module(f"aloha_stack.experiments.{chosen.module}")
    return int(module.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
