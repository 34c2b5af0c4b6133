"""`./aloha bench faults`: every fault on all four arms of the twin, while the followers are moved.

The bridges and safety run as on a robot; the world, who commands the followers and who mends the
arms are in one more process (nodes/bench_faults). A case strikes all arms at the same time. For
each arm is told when an operator could see it and what there was to read, how far goals on the wire
moved joints beyond what was commanded, how far limp joints sagged, and how the arm came back.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aloha_stack.bench.fault_cases import Case, chosen
from aloha_stack.bench.fault_tape import Motion
from aloha_stack.bench.fault_watch import LIMIT_S, MOST_MOTION_RAD, Outcome
from aloha_stack.bench.options import bench_parser
from aloha_stack.bench.report import FAILED, USAGE_ERROR, Bar, Report, Row, machine
from aloha_stack.episodes.tables import Column, table
from aloha_stack.graph import Graph, GraphFailed
from aloha_stack.progress import Progress
from aloha_stack.robot.joints import ARMS

EXAMPLE = """examples:
  ./aloha bench faults --json faults.json
  ./aloha bench faults --only servo_reboot unplugged --arms follower_left
"""
ROBOT = {"robot": "twin", "cameras": "false", "description": "false"}
NODE = ["-m", "aloha_stack.nodes.bench_faults"]
END_S = 60.0
WORDS = 76
"""Letters of what the operator reads that the table shows; --words shows all."""


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether every verdict is good."""
    options = _parser().parse_args(list(argv))
    try:
        cases = chosen(options.only)
    except ValueError as error:
        print(f"aloha bench faults: {error}", file=sys.stderr)
        return USAGE_ERROR
    progress, found = Progress(), machine()
    log = Path(tempfile.mkdtemp(prefix="aloha_bench_faults_")) / "robot.log"
    outcomes: list[Outcome] = []
    try:
        for outcome in _strike(cases, options.arms, log, progress):
            outcomes.append(outcome)
            if outcome.failures:
                progress.say(f"  {outcome.case}, {outcome.arm}: {'; '.join(outcome.failures)}")
    except GraphFailed as failure:
        progress.say(f"aloha bench faults: {failure}")
        return FAILED
    progress.say(outcome_table(outcomes, options.words))
    report = Report("faults", [row for one in outcomes for row in rows(one)], found)
    good = sum(not one.failures for one in outcomes)
    progress.say(f"{good} of {len(outcomes)} as they should be. The graph's log: {log}")
    if options.json:
        report.write(options.json)
    return report.status


def _strike(
    cases: Sequence[Case], arms: Sequence[str], log: Path, progress: Progress
) -> Iterator[Outcome]:
    """All cases. Where an arm does not come back, the ones after go on in a new graph."""
    left = list(cases)
    while left:
        progress.show("starting the bridges and the world", 1 - len(left) / len(cases))
        with Graph("robot", ROBOT, log) as graph:
            names = [case.name for case in left]
            command = [sys.executable, *NODE, "--arms", *arms, "--cases", *names]
            for event in _events(graph, command):
                if event["event"] == "progress":
                    done = 1 - len(left) / len(cases)
                    progress.show(f"{event['case']}, on {len(arms)} arms", done)
                    left.pop(0)
                elif event["event"] == "outcome":
                    yield _outcome(event)
                elif event["event"] == "stuck":
                    progress.say(f"  after {event['case']} not all arms came back: starting anew")


def _events(graph: Graph, command: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What the node tells. The graph ends before it, so that the arms can park in its world."""
    errors = graph.log.with_suffix(".bench.log")
    with (
        errors.open("wb") as error_output,
        subprocess.Popen(
            command,
            env=graph.environment,
            stdout=subprocess.PIPE,
            stderr=error_output,
            text=True,
        ) as process,
    ):
        ended = False
        try:
            assert process.stdout is not None
            for line in process.stdout:
                graph.check()
                event = json.loads(line)
                yield event
                ended = event["event"] in ("done", "stuck")
                if ended:
                    break
            if not ended:
                words = errors.read_text(errors="replace")[-2000:]
                raise GraphFailed(f"the bench's world ended early: {words}\n{graph.tail()}")
        finally:
            graph.stop()  # while the world still goes on: the arms park in it
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _outcome(event: dict[str, Any]) -> Outcome:
    fields = {name: value for name, value in event.items() if name != "event"}
    fields |= {name: tuple(event[name]) for name in ("violations", "limp")}
    return Outcome(**fields | {"motion": Motion(**event["motion"])})


def rows(outcome: Outcome) -> list[Row]:
    """The figures of one case on one arm."""
    where = f"{outcome.case}, {outcome.arm}"
    if outcome.servo:
        where += f" servo {outcome.servo}"
    motion = outcome.motion
    still = Bar("value", "<=", MOST_MOTION_RAD)
    seen = Bar("value", "<=", outcome.detect_within_s)
    back = Bar("value", "<=", LIMIT_S)
    none = Bar("value", "<=", 0.0)
    return [
        Row(f"{where}: detection", outcome.detection_s, "s", bar=seen),
        Row(f"{where}: goals on the wire beyond the commands", motion.goals, "rad", bar=still),
        Row(f"{where}: joints under torque beyond the commands", motion.joints, "rad", bar=still),
        Row(f"{where}: sag with torque off", motion.sag, "rad"),
        Row(f"{where}: published positions off the truth", motion.invented, "rad", bar=none),
        Row(f"{where}: forbidden goals on the wire", len(outcome.violations), "goals", bar=none),
        Row(f"{where}: servos left without torque", len(outcome.limp), "servos", bar=none),
        Row(f"{where}: recovery ({outcome.recovery})", outcome.recovery_s, "s", bar=back),
    ]


def outcome_table(outcomes: Sequence[Outcome], all_words: bool = False) -> str:
    """One line per case and arm, for people."""
    columns = (
        *(Column("fault"), Column("arm"), Column("servo", right=True)),
        *(Column("seen s", right=True), Column("what the operator reads")),
        *(Column("goals rad", right=True), Column("joints rad", right=True)),
        *(Column("sag rad", right=True), Column("recovery"), Column("s", right=True)),
        Column("verdict"),
    )
    lines = [
        [
            *(one.case, one.arm, str(one.servo or "-"), _seconds(one.detection_s)),
            one.words if all_words or len(one.words) <= WORDS else one.words[: WORDS - 1] + "…",
            *(f"{one.motion.goals:.4f}", f"{one.motion.joints:.4f}", f"{one.motion.sag:.3f}"),
            *(one.recovery, _seconds(one.recovery_s)),
            "; ".join(one.failures) or "good",
        ]
        for one in outcomes
    ]
    return table(columns, lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("faults", __doc__, EXAMPLE)
    parser.add_argument("--only", nargs="+", default=[], metavar="FAULT", help="these kinds only")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS, metavar="ARM")
    parser.add_argument("--words", action="store_true", help="all that the operator reads")
    return parser
