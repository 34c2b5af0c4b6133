"""`./aloha analyse NAME`: what a trained policy does, and why.

An analysis prints a table and leaves figures. It ends with 0, with 1 if what was to hold does not,
and with 2 if the request was at fault.
"""

import sys
from collections.abc import Sequence

from aloha_stack.arguments import Choice, run_chosen

ANALYSES: tuple[Choice, ...] = (
    Choice("attribution", "what moves the joints that a recurrent policy tells"),
    Choice("pca", "where a recurrent policy's memory goes in its episodes"),
    Choice("offline", "what a recurrent policy tells of recorded episodes"),
    Choice("neighbours", "which demonstrated steps a VINN acts like, in pictures"),
    Choice("stability", "proof by numbers that a stable policy is stable: SNDS"),
)


def overview() -> str:
    """The help text."""
    lines = ["usage: ./aloha analyse NAME [ARGUMENTS]", "", (__doc__ or "").strip(), ""]
    lines += [f"  {one.name:<12} {one.does}" for one in ANALYSES]
    return "\n".join([*lines, "", "./aloha analyse NAME --help tells the arguments of one."])


def main(argv: Sequence[str]) -> int:
    """Runs the analysis that `argv` names; returns the exit status."""
    return run_chosen("analyse", "analysis", "aloha_stack.analyses", ANALYSES, overview, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
