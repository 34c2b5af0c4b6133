"""Trials of a policy in the twin, each kept as soon as it is over and never made again."""

import json
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from aloha_stack.evaluation.plan import Plan
from aloha_stack.evaluation.running import outcomes
from aloha_stack.experiments.errors import ExperimentError
from aloha_stack.progress import Progress

TASK = "pick_place"
FIRST_SEED = 1000
"""Of the worlds of trials: those below are learnt from."""

Trial = dict[str, Any]
"""seed, success, reward, ticks, position ("" in the midst of the line)."""


def kept(file: Path) -> dict[int, Trial]:
    """Trials by seed. A last line that was cut off counts for nothing."""
    if not file.exists():
        return {}
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            trial = json.loads(line)
            found[trial["seed"]] = trial
    return found


def run_trials(
    checkpoint: Path, variation: str, count: int, file: Path, jobs: int, progress: Progress
) -> None:
    """Those of `count` worlds that are not in `file` yet. Raises ExperimentError, PolicyError."""
    done = kept(file)
    seeds = [seed for seed in range(FIRST_SEED, FIRST_SEED + count) if seed not in done]
    if not seeds:
        return
    _mend(file, list(done.values()))
    plan = Plan(str(checkpoint), TASK, variation=variation)
    plan.check()
    worlds = plan.worlds()
    progress.show(f"{file.parent.name}, {variation}: {len(done)} of {count} trials")
    try:
        with file.open("a", encoding="utf-8") as kept_file:
            for _, outcome in outcomes([plan], seeds, jobs):
                position = worlds.position(outcome.seed)
                trial = outcome.row() | {"position": position.name if position else ""}
                done[outcome.seed] = trial
                kept_file.write(json.dumps(trial) + "\n")
                kept_file.flush()
                won = sum(one["success"] for one in done.values())
                progress.show(
                    f"{file.parent.name}, {variation}: {won} of {len(done)} trials succeeded",
                    len(done) / count,
                )
    except BrokenProcessPool as error:
        raise ExperimentError("a process died in a trial; the same command goes on") from error


def successes(trials: Sequence[Trial]) -> tuple[int, int]:
    """How many succeeded, of how many."""
    return sum(bool(one["success"]) for one in trials), len(trials)


def _mend(file: Path, trials: Sequence[Trial]) -> None:
    """Takes a line that was cut off away."""
    if file.exists():
        new = file.with_name(f".{file.name}.new")
        new.write_text("".join(json.dumps(one) + "\n" for one in trials), encoding="utf-8")
        new.replace(file)
