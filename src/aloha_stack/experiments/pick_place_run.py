"""What the experiments with pick and place share: their budget, and their order of work."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from aloha_stack.arguments import count
from aloha_stack.experiments.errors import ExperimentError
from aloha_stack.experiments.pick_place_models import Interrupted, write_json

OUT = Path("docs/experiments")
TROUBLE = 1
MOST_SEEDS = 3


@dataclass(frozen=True)
class Budget:
    """What is spent. Policies that learn for other steps or from other demonstrations need another
    folder of work; seeds, trials and conditions may be added to the same one.

    Steps and not wall time: all policies see as much, whatever else the machine does.
    """

    steps: int  # of learning, for each model
    seeds: int  # of training
    trials: int  # of each model and condition
    demonstrations: int
    jobs: int = 2

    def keep(self, work: Path) -> None:
        """Raises ExperimentError for a folder of another budget."""
        work.mkdir(parents=True, exist_ok=True)
        file, asked = work / "plan.json", asdict(self)
        told = {name: asked[name] for name in ("steps", "demonstrations")}
        if not file.exists():
            write_json(file, told)
        found = json.loads(file.read_text())
        if found != told:
            raise ExperimentError(
                f"{work} holds another experiment ({found}); give another --work, or remove it"
            )


def carried_out(name: str, work: Callable[[], Path]) -> int:
    """The exit status of `work`, which gives the report's path."""
    # Heavy, and not needed for --help.
    from aloha_stack.episodes.errors import EpisodeError
    from aloha_stack.policies.policy import PolicyError

    try:
        print(f"report: {work()}")
    except Interrupted as stopped:
        print(f"aloha experiment {name}: {stopped}", file=sys.stderr)
        return stopped.status
    except (ExperimentError, EpisodeError, PolicyError, OSError) as error:
        print(f"aloha experiment {name}: {error}", file=sys.stderr)
        return TROUBLE
    return 0


def parser(name: str, description: str, examples: str, budget: Budget) -> argparse.ArgumentParser:
    """With what all of these experiments take; `budget` has the defaults."""
    made = argparse.ArgumentParser(
        prog=f"./aloha experiment {name}",
        description=description.strip().splitlines()[0],
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--steps-per-model",
        type=count,
        default=budget.steps,
        metavar="N",
        help="that each policy learns for (default: %(default)s)",
    )
    made.add_argument(
        "--seeds",
        type=int,
        choices=range(1, MOST_SEEDS + 1),
        default=budget.seeds,
        help="of training; all policies of one come before those of the next "
        "(default: %(default)s)",
    )
    made.add_argument(
        "--trials",
        type=count,
        default=budget.trials,
        metavar="N",
        help="of each policy in each condition (default: %(default)s)",
    )
    made.add_argument(
        "--demonstrations",
        type=count,
        default=budget.demonstrations,
        metavar="N",
        help="that are learnt from (default: %(default)s)",
    )
    made.add_argument(
        "--jobs", type=count, default=budget.jobs, metavar="N", help="processes (%(default)s)"
    )
    made.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR", help="of the report (default: %(default)s)"
    )
    made.add_argument(
        "--work",
        type=Path,
        default=Path("out") / name,
        metavar="DIR",
        help="of what is kept to go on from (default: %(default)s)",
    )
    made.add_argument("--report-only", action="store_true", help="of what is there; nothing is run")
    return made


def budget_of(options: argparse.Namespace) -> Budget:
    """From a command's words."""
    return Budget(
        options.steps_per_model,
        options.seeds,
        options.trials,
        options.demonstrations,
        options.jobs,
    )
