"""`./aloha evaluate MODEL --task TASK`: success rate in the twin, by the task's own reward."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from aloha_stack.evaluate_arguments import EACH, FIRST_SEED, TICK_MS, parser
from aloha_stack.evaluation.disturbances import ALL, KINDS, PERTURBATIONS, PERTURBED
from aloha_stack.evaluation.execution import Execution
from aloha_stack.evaluation.filming import film
from aloha_stack.evaluation.plan import OPERATOR, Plan
from aloha_stack.evaluation.report import Condition, report
from aloha_stack.evaluation.rollout import Outcome
from aloha_stack.evaluation.running import outcomes
from aloha_stack.graph import GraphFailed
from aloha_stack.policies.checkpoint import read_config
from aloha_stack.policies.policy import PolicyError
from aloha_stack.progress import Progress, duration
from aloha_stack.through_graph import GraphEpisodes, GraphOutcome, figures, words
from aloha_stack.twin.renderer import RendererError
from aloha_stack.twin.tasks import TASKS, find_task
from aloha_stack.twin.variation import VariationError


class _Refused(ValueError):
    """The request is at fault."""


def main(argv: Sequence[str]) -> int:
    """Carries out the command. 0: evaluated; 1: it broke down; 2: the request is at fault."""
    options = parser().parse_args(list(argv))
    seeds = list(range(options.seed, options.seed + options.episodes))
    progress = Progress()
    began_s = time.monotonic()
    faults: list[str] = []
    try:
        conditions = _conditions(options)
        if options.ros:
            faults = _through_the_graph(conditions[0], seeds, options, progress)
        else:
            _direct(conditions, seeds, options.jobs, progress)
            if options.video:
                _film(conditions[-1], options.video, progress)
    except (_Refused, PolicyError, VariationError) as error:
        print(f"aloha evaluate: {error}", file=sys.stderr)
        return 2
    except BrokenProcessPool:
        progress.say("aloha evaluate: a process died, perhaps for want of memory; try --jobs 1")
        return 1
    except (GraphFailed, RendererError) as failure:
        progress.say(f"aloha evaluate: {failure}")
        return 1
    if min(seeds) < FIRST_SEED and not conditions[0].plan.is_operator:
        progress.say(
            f"  seeds below {FIRST_SEED} are for training: what was learnt there counts for little"
        )
    unfinished = len(conditions[0].outcomes) < len(seeds)
    seeds = seeds[: len(conditions[0].outcomes)]
    found = report(conditions, seeds, time.monotonic() - began_s)
    if options.ros:
        found["ros"] = figures(conditions[0].outcomes, faults)
        found.get("execution", {}).pop("inference", None)  # it took what it took
    _tell_end(conditions, found, progress)
    if options.record:
        progress.say(f"  the rollouts on one page: ./aloha report {options.record}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if unfinished else 0


def _conditions(options: argparse.Namespace) -> list[Condition]:
    """What is evaluated, the most important last."""
    execution = Execution(
        options.execution, options.ensemble_m, options.query, options.inference or 1
    )
    plan = Plan(
        options.model,
        options.task,
        execution,
        device=options.device,
        backend=options.backend,
        variation=options.variation,
        options=",".join(options.option),
    )
    policies = [one for one in ("disturb", "perturb", "video") if getattr(options, one)]
    if plan.is_operator and policies:
        raise _Refused(f"--{policies[0]} is for policies, not for the operator")
    if options.disturb and options.perturb:
        raise _Refused("--disturb and --perturb do not go together; run one, then the other")
    direct = ("disturb", "perturb", "video", "inference")
    if options.ros and any(getattr(options, option) for option in direct):
        option = next(option for option in direct if getattr(options, option))
        raise _Refused(f"--{option} does not go with --ros; leave one of them out")
    if not options.ros and (options.record or options.all_cameras or options.real_inference):
        raise _Refused("--record, --all-cameras and --real-inference go with --ros")
    if plan.is_operator and options.record:
        raise _Refused("--record is for policies; the operator's: ./aloha episodes generate")
    if not plan.is_operator and not Path(options.model).exists():
        raise _Refused(
            f"no model '{options.model}'; there is {OPERATOR}, or the folder of a checkpoint"
        )
    plan.check()
    if options.perturb:
        if not find_task(options.task).has_goal:
            with_goal = ", ".join(name for name, task in TASKS.items() if task.has_goal)
            raise _Refused(f"--perturb: {options.task} has no goal that moves; {with_goal} has")
        return [Condition(PERTURBED, replace(plan, kinds=PERTURBATIONS))]
    if not options.disturb:
        return [Condition("", plan)]
    names = (*KINDS, ALL) if options.disturb == EACH else (options.disturb,)
    return [
        Condition(name, replace(plan, kinds=KINDS if name == ALL else (name,))) for name in names
    ]


def _direct(conditions: list[Condition], seeds: list[int], jobs: int, progress: Progress) -> None:
    """Without ROS."""
    began_s, total, done, successes = time.monotonic(), len(conditions) * len(seeds), 0, 0
    progress.show("starting", 0.0)
    for index, outcome in outcomes([c.plan for c in conditions], seeds, min(jobs, total)):
        condition = conditions[index]
        condition.outcomes.append(outcome)
        done, successes = done + 1, successes + outcome.success
        _tell(outcome, progress, condition.name)
        left_s = (time.monotonic() - began_s) / done * (total - done)
        progress.show(
            f"{done} of {total}, {successes} succeeded, {duration(left_s)} left", done / total
        )
    progress.clear()


def _film(condition: Condition, path: Path, progress: Progress) -> None:
    """The first failure; the first episode, if there is none."""
    ordered = sorted(condition.outcomes, key=lambda outcome: (outcome.success, outcome.seed))
    progress.show(f"a video of seed {ordered[0].seed}")
    for _ in outcomes([condition.plan], [ordered[0].seed], 1, partial(film, path)):
        progress.say(f"  {path}: a video of seed {ordered[0].seed}")


def _through_the_graph(
    condition: Condition, seeds: list[int], options: argparse.Namespace, progress: Progress
) -> list[str]:
    """All nodes, and bytes on the wire; what went wrong with them. A policy's cameras alone are
    rendered, unless asked otherwise; the operator's none."""
    folder = Path(tempfile.mkdtemp(prefix="aloha_evaluate_"))
    plan = condition.plan
    every = plan.is_operator or options.all_cameras
    cameras = () if every else read_config(plan.model)["spec"].cameras
    episodes = GraphEpisodes(
        plan, seeds, progress, folder, cameras, options.record, options.real_inference
    )
    try:
        for outcome in episodes.outcomes():
            condition.outcomes.append(outcome)
            _tell(outcome, progress)
    except GraphFailed as failure:
        if not condition.outcomes:
            raise
        progress.say(f"aloha evaluate: given up: {failure}")  # what was found so far counts
    progress.clear()
    return episodes.faults


def _tell(outcome: Outcome, progress: Progress, name: str = "") -> None:
    word = f"success at step {outcome.ticks}" if outcome.success else "FAILURE"
    what = f"seed {outcome.seed}" + (f", {name}" if name else "")
    remarks = [f"held {outcome.holds} times"] if outcome.holds else []
    if outcome.refused:
        remarks.append(f"{outcome.refused} chunks refused")
    if outcome.beyond_rad > 0:
        remarks.append(f"a joint {outcome.beyond_rad:.3f} rad beyond its limits")
    if isinstance(outcome, GraphOutcome):
        counted = (("gaps", outcome.gaps), ("jumps", outcome.jumps))
        remarks += [f"{number} {what} in the commands" for what, number in counted if number]
    if outcome.remark:
        remarks.append(outcome.remark)
    more = f" ({'; '.join(remarks)})" if remarks else ""
    progress.say(f"  {what}: reward {outcome.reward}, {word}{more}")


def _tell_end(conditions: list[Condition], found: dict[str, Any], progress: Progress) -> None:
    plan = conditions[-1].plan
    task = " ".join(filter(None, (plan.task, plan.worlds().text)))
    progress.say(
        f"{plan.model} on {task}, {len(conditions[-1].outcomes)} episodes, in "
        f"{duration(found['seconds'])} (simulated):"
    )
    for condition in conditions:
        progress.say(f"  {condition.words()}")
    if plan.is_operator:
        return
    if "ros" in found:
        for line in words(found["ros"]):
            progress.say(f"  {line}")
        return
    took_ms = found["inference_ms"]
    ticks = plan.execution.inference
    progress.say(
        f"  a chunk took {took_ms:.0f} ms on one core here, and counted {ticks * TICK_MS} ms after "
        "what it was made from"
    )
    if took_ms > ticks * TICK_MS:
        progress.say(
            f"  this is slower than was played: --inference {int(-(-took_ms // TICK_MS))} is its "
            "real place on one core of this machine"
        )
