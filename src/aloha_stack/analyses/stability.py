"""`./aloha analyse stability MODEL`: whether a policy that promises stability keeps it.

Looks at random and by gradient ascent for states in which V is not positive or does not fall, lets
the control loop run, and writes MODEL/certificate.json, without which the policy moves no robot.
policies/stability.py says what exactly is looked for. Exit status 0 if nothing was violated, 1 if
something was or the model cannot be read, 2 for a wrong request.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.arguments import count, seed

EXAMPLES = """examples:
  ./aloha analyse stability models/snds_reach
  ./aloha analyse stability models/snds_reach --samples 200000 --out out/stability
"""
TROUBLE = 1


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(list(argv))
    # Heavy, and not needed for --help.
    from aloha_stack.analyses.phase_portrait import draw, plane_of
    from aloha_stack.policies.certifying import certify, region, uncertified
    from aloha_stack.policies.policy import PolicyError
    from aloha_stack.policies.stability import Effort

    try:
        found = certify(options.model, Effort(samples=options.samples, seed=options.seed))
        policy = uncertified(options.model)
        out = options.out or options.model
        out.mkdir(parents=True, exist_ok=True)
        picture = draw(policy.dynamics, region(policy), plane_of(policy), out / "stability.png")
    except (PolicyError, OSError) as error:
        print(f"aloha analyse stability: {error}", file=sys.stderr)
        return TROUBLE
    rows = (
        ("random states", found.samples, found.not_positive, found.not_falling),
        ("climbed to", found.climbed, found.climbed_not_positive, found.climbed_not_falling),
    )
    print(f"{'':16}{'looked at':>10}{'V not above 0':>15}{'V not falling':>15}")
    for name, looked, not_positive, not_falling in rows:
        print(f"{name:16}{looked:>10}{not_positive:>15}{not_falling:>15}")
    print(f"{'control steps':16}{found.steps:>10}{'':15}{found.steps_not_falling:>15}")
    print(f"worst: {max(found.worst, found.climbed_worst):.2e} above the bound (rounding: 1e-09)")
    if found.moves_at_goal:
        print("it moves at the goal")
    print(
        f"{found.arrived} of {found.starts} random starts come within 2 % of the extent in ten "
        f"durations; the farthest ends at {found.farthest:.2%}"
    )
    print(f"picture: {picture}")
    print(f"certificate: {options.model / 'certificate.json'}: {'holds' if found.holds else 'NO'}")
    return 0 if found.holds else TROUBLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./aloha analyse stability",
        description="Looks for states in which a stable policy is not stable; certifies it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a checkpoint's folder")
    parser.add_argument(
        "--samples", type=count, default=20_000, metavar="N", help="random states (%(default)s)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of all that is random (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="of the picture (default: MODEL)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
