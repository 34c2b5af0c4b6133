"""`./aloha experiment each-layer`: does the image feature in every layer make a policy see?

Pick and place, the cube anywhere on its line: two encoders, each with the conventional network, the
wider one of as many weights, and the each-layer one, at 50 Hz and at 10 Hz; success in trials, and
how much the image feature moves the joints told beside what the joints do. Source of the claim:
arXiv 2401.09691. What is done is kept in --work: an interrupted experiment goes on where it was,
and after each policy the report is written anew. Exit status 0 at the end, 1 when it cannot go on,
2 for a wrong request, 130 or 143 when it was interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.experiments.pick_place_run import Budget, budget_of, carried_out, parser

NAME = "each-layer"
EXAMPLES = """examples:
  ./aloha experiment each-layer
  ./aloha experiment each-layer --rates 50 --steps-per-model 1000 --trials 20
  ./aloha experiment each-layer --seeds 3
"""
RATES_HZ = (50, 10)
BUDGET = Budget(steps=3000, seeds=1, trials=55, demonstrations=100)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    known = parser(NAME, __doc__ or "", EXAMPLES, BUDGET)
    known.add_argument(
        "--rates",
        type=_rates,
        default=RATES_HZ,
        metavar="A,B",
        help="Hz, of 50 and 10 (default: both)",
    )
    options = known.parse_args(list(argv))
    budget = budget_of(options)

    def work() -> Path:
        # Heavy, and not needed for --help.
        from aloha_stack.experiments.each_layer_report import write_report
        from aloha_stack.experiments.each_layer_runs import cells, run

        planned = cells(options.rates, budget.seeds)
        if not options.report_only:
            run(planned, budget, options.work, options.out)
        return write_report(planned, budget, options.work, options.out)

    return carried_out(NAME, work)


def _rates(text: str) -> tuple[int, ...]:
    chosen = tuple(rate for rate in RATES_HZ if str(rate) in text.split(","))
    if not chosen or len(chosen) != len(set(text.split(","))):
        raise argparse.ArgumentTypeError(f"'{text}': expected some of 50,10")
    return chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
