"""Episodes in the twin through the whole graph: every node, bytes on the wire, 50 Hz of ROS time.

The operator's hands move the leader servos; a policy's chunks go through the chunk player. Either
way one graph serves many episodes: the arms go back to their start, the objects are placed anew.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.episodes.keeping import note
from aloha_stack.episodes.world_notes import NotedPosition, world_notes
from aloha_stack.evaluation.plan import Plan
from aloha_stack.evaluation.rollout import Outcome
from aloha_stack.graph import Graph, GraphFailed
from aloha_stack.progress import Progress, duration

RATE_HZ = 50
COUNTED = ("commands", "gaps", "jumps", "holds", "refused", "overruns")
MEASURED = ("longest_s", "held_s", "real_time_factor")
TRIES = 2
"""Graphs in a row that fail before an episode has come to its end: then nothing more is tried."""


@dataclass(frozen=True)
class GraphOutcome(Outcome):
    """How a policy's episode went in the graph; see Outcome.

    `gaps`, `jumps` and `longest_s` come from the commands on their way to the arms, of which there
    were `commands` for each (control/stream_check). `thought_s`: what chunks took, wall time. All
    else is ROS time, of which `real_time_factor` seconds passed in one of the wall's: `held_s` in
    holds, also that for the first chunk; `delays_s` from observations to the first ticks that their
    chunks counted in. `path`: of the recording.
    """

    gaps: int = 0
    jumps: int = 0
    longest_s: float = 0.0
    held_s: float = 0.0
    commands: int = 0
    overruns: int = 0
    thought_s: tuple[float, ...] = ()
    delays_s: tuple[float, ...] = ()
    real_time_factor: float = 0.0
    path: str = ""

    def row(self) -> dict[str, Any]:
        return {
            **super().row(),
            **{name: getattr(self, name) for name in (*COUNTED, *MEASURED)},
            "inference_ms": spread_ms(self.thought_s),
            "delay_ms": spread_ms(self.delays_s),
            "remark": self.remark,
            "path": self.path,
        }


@dataclass
class GraphEpisodes:
    """Of `plan` in the worlds of `seeds`; its log and ports lie in `folder`.

    `cameras` are those that are rendered, none: all. `record`: rollouts become episodes in it.
    `real_inference`: see the policy node.
    """

    plan: Plan
    seeds: Sequence[int]
    progress: Progress
    folder: Path
    cameras: Sequence[str] = ()
    record: Path | None = None
    real_inference: bool = False
    faults: list[str] = field(default_factory=list)
    """What went wrong with the graph itself, in words."""

    def outcomes(self) -> Generator[Outcome, None, None]:
        """One after another. An episode during which the graph failed counts as a failure, and a
        new graph goes on with the next. Raises GraphFailed when that does not help."""
        left, unfinished = list(self.seeds), 0
        self._done = self._succeeded = 0
        self._began_s = time.monotonic()
        while left:
            before = len(left)
            try:
                for outcome in self._in_one_graph(left):
                    left.remove(outcome.seed)
                    self._done, self._succeeded = self._done + 1, self._succeeded + outcome.success
                    yield outcome
            except GraphFailed as failure:
                self.faults.append(str(failure).partition("\n")[0])
                unfinished = unfinished + 1 if len(left) == before else 0
                if left and (unfinished >= TRIES or self.plan.is_operator):
                    raise
                self.progress.say(f"  {failure}")
                if left:
                    yield GraphOutcome(
                        left.pop(0), False, 0, 0, remark=f"the graph failed: {self.faults[-1]}"
                    )
                    self._done += 1

    def _in_one_graph(self, seeds: Sequence[int]) -> Iterator[Outcome]:
        launch_file, arguments, words = self._requests(seeds[0])
        log = self.folder / f"{launch_file}_{seeds[0]}.log"
        with Graph(launch_file, arguments, log) as graph:
            self.progress.say(f"The graph's log: {log}")
            self.progress.show("starting the graph")
            for event in graph.session(*words, "--seeds", *map(str, seeds)):
                if event["event"] == "waiting":
                    self.progress.show(f"waiting for {event['what']}")
                elif event["event"] == "progress":
                    self._show(event)
                elif event["event"] == "episode":
                    yield self._outcome(event)
            self.progress.show("parking the arms")

    def _requests(self, seed: int) -> tuple[str, dict[str, str], list[str]]:
        """Launch file, its arguments, and the words for the session."""
        plan = self.plan
        directory = self.record or self.folder / "episodes"
        arguments = {"robot": "twin", "task": plan.task, "seed": str(seed)}
        arguments["variation"] = plan.variation
        arguments["directory"] = str(directory.absolute())
        if plan.is_operator:
            return "teleop_record", arguments | {"cameras": "false"}, ["demonstrate"]
        execution = plan.execution
        rate_hz = RATE_HZ / execution.query if execution.query > 1 else 0.0
        arguments |= {
            "camera_names": ",".join(self.cameras),
            "record_cameras": str(self.record is not None).lower(),
            "end_on_success": "true",
            "mode": execution.mode,
            "m": str(execution.m),
            "blend_time": str(execution.blend_s),
            "policy_rate": str(rate_hz),
            "real_inference": str(self.real_inference).lower(),
            "device": plan.device,
            "policy_backend": plan.backend,
            "policy_options": plan.options,
        }
        words = ["rollout", "--checkpoint", str(Path(plan.model).absolute())]
        words += ["--steps", str(plan.ticks), *(["--record"] if self.record else [])]
        return "rollout", arguments, words

    def _show(self, event: dict[str, Any]) -> None:
        total = len(self.seeds)
        text = f"{self._done} of {total}, {self._succeeded} succeeded"
        if self._done:
            left_s = (time.monotonic() - self._began_s) / self._done * (total - self._done)
            text += f", {duration(left_s)} left"
        self.progress.show(
            f"{text}; seed {event['seed']}: reward {event['reward']} at {event['elapsed']:.1f} s, "
            f"{event['real_time_factor']:.2f} × real time",
            self._done / total,
        )

    def _outcome(self, event: dict[str, Any]) -> Outcome:
        found = {key: event[key] for key in ("seed", "success", "reward", "ticks")}
        if self.plan.is_operator:
            return Outcome(**found)
        if event["path"]:
            self._note_world(Path(event["path"]), event["seed"])
        same = (*COUNTED, *MEASURED)
        thought_s = tuple(event["inference_s"])
        return GraphOutcome(
            **found,
            **{key: event[key] for key in same},
            inference_s=float(np.median(thought_s)) if thought_s else 0.0,
            thought_s=thought_s,
            delays_s=tuple(event["delay_s"]),
            remark=event["message"],
            path=event["path"],
        )

    def _note_world(self, path: Path, seed: int) -> None:
        """Adds to a recorded episode what only the world knows."""
        worlds = self.plan.worlds()
        position = worlds.position(seed)
        noted = None if position is None else NotedPosition(**asdict(position))
        if notes := world_notes(worlds.text, noted):
            note(path, notes)


# -- all together ---------------------------------------------------------------------------


def figures(outcomes: Sequence[Outcome], faults: Sequence[str]) -> dict[str, Any]:
    """For `--json`: what the graph did in all these episodes, and why episodes failed."""
    rolled = [outcome for outcome in outcomes if isinstance(outcome, GraphOutcome)]
    factors = [outcome.real_time_factor for outcome in rolled if outcome.commands]
    return {
        **{name: sum(getattr(outcome, name) for outcome in rolled) for name in COUNTED},
        "held_s": sum(outcome.held_s for outcome in rolled),
        "longest_s": max((outcome.longest_s for outcome in rolled), default=0.0),
        "inference_ms": spread_ms([s for outcome in rolled for s in outcome.thought_s]),
        "delay_ms": spread_ms([s for outcome in rolled for s in outcome.delays_s]),
        "real_time_factor": float(np.median(factors)) if factors else 0.0,
        "failures": failures(rolled),
        "faults": list(faults),
    }


def failures(outcomes: Sequence[Outcome]) -> dict[str, list[int]]:
    """Why episodes failed, with their seeds."""
    found: dict[str, list[int]] = {}
    for outcome in outcomes:
        if not outcome.success:
            why = outcome.remark or f"time was over at reward {outcome.reward}"
            found.setdefault(why, []).append(outcome.seed)
    return found


def words(found: dict[str, Any]) -> list[str]:
    """The same as `figures`, for people."""
    thought, delay = found["inference_ms"], found["delay_ms"]
    lines = [
        f"{found['commands']} commands to each arm: {found['gaps']} gaps, {found['jumps']} jumps, "
        f"{1e3 * found['longest_s']:.0f} ms from one to the next at most",
        f"{found['holds']} holds, {found['held_s']:.1f} s held in all; "
        f"{found['refused']} chunks refused, {found['overruns']} late ticks",
    ]
    if thought:
        lines.append(
            f"a chunk took {thought['median']:.0f} ms of wall time (p99 {thought['p99']:.0f} ms)"
        )
    if delay:
        lines.append(
            f"it counted {delay['median']:.0f} ms of ROS time after what it was made from (p99 "
            f"{delay['p99']:.0f} ms)"
        )
    lines.append(f"the world went at {found['real_time_factor']:.2f} × real time")
    for why, seeds in found["failures"].items():
        lines.append(f"failed {len(seeds)} times: {why} (seeds {', '.join(map(str, seeds))})")
    return [*lines, *(f"the graph: {fault}" for fault in found["faults"])]


def spread_ms(values_s: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and greatest, ms; empty without values."""
    if not len(values_s):
        return {}
    median, p99, most = 1e3 * np.percentile(values_s, (50, 99, 100))
    return {"median": float(median), "p99": float(p99), "max": float(most)}
