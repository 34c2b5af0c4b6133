"""`./aloha experiment lasa`: handwriting, by a stable policy and beside it.

Of each of the 30 LASA shapes one demonstration is held out; SNDS, behaviour cloning of the same
size and SNDS as it was released learn from the six others, in the same number of steps, and are
measured on the one held out and from random starts. What is done is kept in --work: an interrupted
experiment goes on where it was. Exit status 0 at the end, 1 when it cannot go on, 2 for a wrong
request, 130 when it was interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.arguments import count, seed

EXAMPLES = """examples:
  ./aloha experiment lasa
  ./aloha experiment lasa --shapes GShape,Sshape --steps 500 --out out/lasa
  ./aloha experiment lasa --folds 7
"""
TROUBLE = 1
OUT = Path("docs/experiments")
WORK = Path("out/lasa")


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(list(argv))
    # Heavy, and not needed for --help.
    from aloha_stack.experiments.lasa_data import DataMissing, shape_names
    from aloha_stack.experiments.lasa_report import write_report
    from aloha_stack.experiments.lasa_runs import Plan, RunError, run
    from aloha_stack.progress import Progress

    try:
        names = options.shapes or shape_names()
        unknown = [name for name in names if name not in shape_names()]
        if unknown:
            print(
                f"aloha experiment lasa: there is no shape {', '.join(unknown)}; there are "
                f"{', '.join(shape_names())}",
                file=sys.stderr,
            )
            return 2
        plan = Plan(
            shapes=tuple(names),
            folds=options.folds,
            steps=options.steps,
            seed=options.seed,
            anchor=options.anchor,
            alpha=options.alpha,
        )
        results = run(plan, options.work, Progress())
        print(f"report: {write_report(results, plan, options.out)}")
    except (DataMissing, RunError, OSError) as error:
        print(f"aloha experiment lasa: {error}", file=sys.stderr)
        return TROUBLE
    return 0


def _folds(text: str) -> int:
    folds = count(text)
    if folds > 7:
        raise argparse.ArgumentTypeError("there are 7 demonstrations of each shape")
    return folds


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number") from None
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no rate; expected 0 … 1000")
    return rate


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./aloha experiment lasa",
        description="Handwriting: a stable policy, cloning, and the form as released.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--shapes",
        type=lambda text: [name for name in text.split(",") if name],
        metavar="A,B,…",
        help="some of the shapes (default: all 30)",
    )
    parser.add_argument(
        "--folds",
        type=_folds,
        default=1,
        metavar="N",
        help="how many demonstrations are held out, each in its turn (default: 1, the last)",
    )
    parser.add_argument(
        "--steps", type=count, default=3000, metavar="N", help="of learning (default: %(default)s)"
    )
    parser.add_argument(
        "--anchor",
        choices=("tangent", "clamp"),
        default="tangent",
        help="how SNDS' V gets its minimum at the goal (default: %(default)s)",
    )
    parser.add_argument(
        "--alpha",
        type=_rate,
        default=1.5,
        metavar="A",
        help="how fast SNDS' V falls, per duration (default: %(default)s)",
    )
    parser.add_argument("--seed", type=seed, default=0, help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR", help="of the report (default: %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, default=WORK, metavar="DIR", help="of what is kept to go on from"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
