"""`./aloha experiment untaught`: which policies know what to do between the taught positions?

Pick and place, taught at A, C and E of the line: CNNRNN, CNNRNN from a trained auto-encoder,
CNNRNNLN, SARNN and CAE-RNN; success in trials and error of the joints told, at A, C, E and at B, D,
with the table as it was taught and with others, and where their memory goes. Source of the
question: ogata-lab/eipl. What is done is kept in --work: an interrupted experiment goes on where it
was, and after each policy the report is written anew. Exit status 0 at the end, 1 when it cannot go
on, 2 for a wrong request, 130 or 143 when it was interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.experiments.pick_place_run import Budget, budget_of, carried_out, parser

NAME = "untaught"
EXAMPLES = """examples:
  ./aloha experiment untaught
  ./aloha experiment untaught --steps-per-model 1000 --trials 12
  ./aloha experiment untaught --models cnnrnn,sarnn
  ./aloha experiment untaught --seeds 3
"""
POLICIES = ("cnnrnn", "cnnrnn_from_cae", "cnnrnnln", "sarnn", "cae_rnn")
BUDGET = Budget(steps=3000, seeds=1, trials=30, demonstrations=60)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    known = parser(NAME, __doc__ or "", EXAMPLES, BUDGET)
    known.add_argument(
        "--models",
        type=_models,
        default=POLICIES,
        metavar="A,B,…",
        help=f"some of {', '.join(POLICIES)} (default: all)",
    )
    options = known.parse_args(list(argv))
    budget = budget_of(options)

    def work() -> Path:
        # Heavy, and not needed for --help.
        from aloha_stack.experiments.untaught_report import write_report
        from aloha_stack.experiments.untaught_runs import CONDITIONS, cells, run

        planned = cells(options.models, budget.seeds, options.work)
        if not options.report_only:
            run(planned, budget, options.work, options.out)
        return write_report(planned, CONDITIONS, budget, options.work, options.out)

    return carried_out(NAME, work)


def _models(text: str) -> tuple[str, ...]:
    wanted = text.split(",")
    if unknown := [name for name in wanted if name not in POLICIES]:
        raise argparse.ArgumentTypeError(
            f"there is no {', '.join(map(repr, unknown))}; there are {', '.join(POLICIES)}"
        )
    return tuple(name for name in POLICIES if name in wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
