"""`./aloha evaluate MODEL --task TASK`: success rate in the twin, by the task's own reward.

MODEL `operator` is the twin's scripted operator. With `--ros` every command goes through the whole
graph: leader servos, bridges, teleop, follower servos, physics.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aloha_stack.arguments import count, new_file, seed
from aloha_stack.graph import Graph, GraphFailed
from aloha_stack.progress import Progress
from aloha_stack.robot.description import load_robot

EXAMPLE = """examples:
  ./aloha evaluate operator --task transfer_cube --episodes 20 --seed 0 --ros
  ./aloha evaluate operator --task transfer_cube --episodes 100 --json operator.json
"""


def main(argv: Sequence[str]) -> int:
    """Carries out the command. 0: evaluated; 1: the graph failed; 2: the request is at fault."""
    options = _parser().parse_args(list(argv))
    if options.model != "operator":
        print(f"aloha evaluate: no model '{options.model}'; there is: operator", file=sys.stderr)
        return 2
    seeds = list(range(options.seed, options.seed + options.episodes))
    progress = Progress()
    began_s = time.monotonic()
    run = _through_the_graph if options.ros else _direct
    try:
        episodes = run(options.task, seeds, progress)
    except GraphFailed as failure:
        progress.say(f"aloha evaluate: {failure}")
        return 1
    successes = sum(episode["success"] for episode in episodes)
    report = {
        "task": options.task,
        "model": options.model,
        "episodes": len(episodes),
        "successes": successes,
        "rate": successes / len(episodes),
        "seeds": seeds,
        "per_episode": episodes,
        "seconds": time.monotonic() - began_s,
    }
    progress.say(
        f"{options.model} on {options.task}: {successes} of {len(episodes)} succeeded "
        f"({100 * report['rate']:.0f} %), in {report['seconds']:.0f} s (simulated)"
    )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def _through_the_graph(task: str, seeds: list[int], progress: Progress) -> list[dict[str, Any]]:
    """The operator's hands on the leaders, teleop, bridges and physics. No camera is used."""
    log = Path(tempfile.mkdtemp(prefix="aloha_evaluate_")) / "teleop_record.log"
    arguments = {"robot": "twin", "task": task, "seed": str(seeds[0]), "cameras": "false"}
    arguments["directory"] = str(log.parent / "episodes")
    episodes: list[dict[str, Any]] = []
    with Graph("teleop_record", arguments, log) as graph:
        progress.say(f"The graph's log: {log}")
        for event in graph.session("demonstrate", "--seeds", *map(str, seeds)):
            if event["event"] == "waiting":
                progress.show(f"waiting for {event['what']}")
            elif event["event"] == "progress":
                progress.show(
                    f"{len(episodes)} of {len(seeds)} done; seed {event['seed']}: reward "
                    f"{event['reward']} at {event['elapsed']:.1f} s, "
                    f"{event['real_time_factor']:.2f} × real time",
                    len(episodes) / len(seeds),
                )
            elif event["event"] == "episode":
                episodes.append(_row(event))
                _tell(episodes[-1], progress)
        progress.show("parking the arms")
    return episodes


def _direct(task: str, seeds: list[int], progress: Progress) -> list[dict[str, Any]]:
    """The same hands and physics without ROS, at a teleoperation delay of 60 ms."""
    from aloha_stack.twin.operator_rehearsal import rehearse
    from aloha_stack.twin.world import World

    robot = load_robot("twin", {"ALOHA_PORTS": "none"})
    episodes = []
    for index, world in enumerate(seeds):
        progress.show(f"seed {world}", index / len(seeds))
        result = rehearse(World(task, world, robot), robot, delay_s=0.06)
        row = {"seed": world, "success": result.success_tick is not None}
        episodes.append(row | {"reward": result.best_reward, "ticks": result.success_tick or 0})
        _tell(episodes[-1], progress)
    return episodes


def _row(event: dict[str, Any]) -> dict[str, Any]:
    return {key: event[key] for key in ("seed", "success", "reward", "ticks")}


def _tell(episode: dict[str, Any], progress: Progress) -> None:
    word = f"success at step {episode['ticks']}" if episode["success"] else "FAILURE"
    progress.say(f"  seed {episode['seed']}: reward {episode['reward']}, {word}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha evaluate",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="operator: the twin's scripted operator")
    parser.add_argument("--task", default="transfer_cube", choices=("transfer_cube",))
    parser.add_argument("--episodes", type=count, default=20, metavar="N")
    parser.add_argument("--seed", type=seed, default=0, help="of the first episode's world")
    parser.add_argument("--ros", action="store_true", help="through the whole graph")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="also write the figures here")
    return parser
