"""`./aloha analyse NAME`: what a trained policy does, and why.

An analysis prints a table and leaves figures. It ends with 0, with 1 if what was to hold does not,
and with 2 if the request was at fault.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

USAGE_ERROR = 2


@dataclass(frozen=True)
class Analysis:
    """An analysis, what it shows, and the module with its main(argv)."""

    name: str
    does: str
    module: str


ANALYSES: tuple[Analysis, ...] = (
    Analysis("attribution", "what moves the joints that a recurrent policy tells", "attribution"),
    Analysis("pca", "where a recurrent policy's memory goes in its episodes", "pca"),
    Analysis("offline", "what a recurrent policy tells of recorded episodes", "offline"),
    Analysis("stability", "proof by numbers that a stable policy is stable: SNDS", "stability"),
)


def overview() -> str:
    """The help text."""
    lines = ["usage: ./aloha analyse NAME [ARGUMENTS]", "", (__doc__ or "").strip(), ""]
    lines += [f"  {one.name:<12} {one.does}" for one in ANALYSES]
    return "\n".join([*lines, "", "./aloha analyse NAME --help tells the arguments of one."])


def main(argv: Sequence[str]) -> int:
    """Runs the analysis that `argv` names; returns the exit status."""
    arguments = list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0 if arguments else USAGE_ERROR
    chosen = next((one for one in ANALYSES if one.name == arguments[0]), None)
    if chosen is None:
        known = ", ".join(one.name for one in ANALYSES)
        print(
            f"aloha analyse: there is no analysis '{arguments[0]}'; there are: {known}",
            file=sys.stderr,
        )
        return USAGE_ERROR
    module = importlib.import_module(f"aloha_stack.analyses.{chosen.module}")
    return int(module.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
