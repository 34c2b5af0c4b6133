"""What `./aloha evaluate` takes."""

import argparse
from pathlib import Path

from aloha_stack.arguments import count, new_file, seed
from aloha_stack.control.chunks import MODES
from aloha_stack.evaluation.disturbances import ALL, KINDS
from aloha_stack.evaluation.rollout import TICKS
from aloha_stack.policies.options import AUTO, BACKENDS
from aloha_stack.twin.tasks import TASKS
from aloha_stack.twin.variation import HELP

DESCRIPTION = """Success rate in the twin, by the task's own reward.

MODEL is the folder of a checkpoint, or `operator`, the twin's scripted operator. Both work in model
time without ROS, through the JPEG bytes, limits and delays of the graph. With `--ros` every command
goes through the whole graph, at 50 Hz of ROS time: the operator's from the leader servos on through
bridges and teleop, a policy's from the cameras on through policy and chunk player.
"""

EXAMPLE = """examples:
  ./aloha evaluate models/act_transfer_cube --task transfer_cube --episodes 100 --seed 1000
  ./aloha evaluate models/act_transfer_cube --episodes 50 --disturb --json disturbed.json
  ./aloha evaluate models/snds_reach --task reach --episodes 50 --perturb
  ./aloha evaluate operator --task insertion --episodes 20
  ./aloha evaluate operator --task transfer_cube --episodes 20 --ros
  ./aloha evaluate models/eli_lstm_pick_place --task pick_place --variation untaught,background
  ./aloha evaluate models/act_transfer_cube --episodes 20 --ros --json ros.json
"""
EACH = "each"
FIRST_SEED = 1000
"""Of worlds that are kept for evaluation: demonstrations are never generated there."""
TICK_MS = 20


def parser() -> argparse.ArgumentParser:
    """What `./aloha evaluate` takes."""
    known = argparse.ArgumentParser(
        prog="aloha evaluate",
        description=DESCRIPTION,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known.add_argument("model", help="the folder of a checkpoint, or operator")
    known.add_argument("--task", default="transfer_cube", choices=tuple(TASKS))
    known.add_argument(
        "--variation",
        default="",
        metavar="WORDS",
        help=HELP,
    )
    known.add_argument("--episodes", type=count, default=20, metavar="N")
    known.add_argument(
        "--seed",
        type=seed,
        default=FIRST_SEED,
        metavar="S",
        help=f"of the first episode's world ({FIRST_SEED}: those below are for training)",
    )
    known.add_argument("--jobs", type=count, default=2, metavar="N", help="processes (2)")
    known.add_argument("--json", type=new_file, metavar="FILE", help="also write the figures here")
    graph = known.add_argument_group("through the whole graph")
    graph.add_argument("--ros", action="store_true", help="all nodes, and bytes on the wire")
    graph.add_argument(
        "--record", type=Path, metavar="FOLDER", help="each rollout as an episode in this folder"
    )
    graph.add_argument(
        "--all-cameras", action="store_true", help="render those, too, that the policy does not see"
    )
    graph.add_argument(
        "--real-inference",
        action="store_true",
        help="chunks take as much ROS time as of the wall's, however slow the world is",
    )
    policy = known.add_argument_group("policies")
    policy.add_argument(
        "--execution",
        choices=MODES,
        default="ensemble",
        help="how chunks are merged, as by the chunk player (ensemble)",
    )
    policy.add_argument(
        "--ensemble-m", type=_weight, default=0.01, metavar="M", help="weights exp(-M i) (0.01)"
    )
    policy.add_argument(
        "--query", type=_ticks, default=1, metavar="TICKS", help="from query to query (1)"
    )
    policy.add_argument(
        "--inference",
        type=_ticks,
        metavar="TICKS",
        help=f"of {TICK_MS} ms from an observation to its chunk; slows queries down to it (1; in "
        "the graph it takes what it takes)",
    )
    policy.add_argument(
        "--video", type=new_file, metavar="FILE", help="mp4 of the first failure, or of the first"
    )
    policy.add_argument("--device", default="cpu", help="that the network runs on, as cuda:0 (cpu)")
    policy.add_argument(
        "--backend",
        choices=BACKENDS,
        default=AUTO,
        help="how the network is computed: as it was trained, in its fast form, so with heavy "
        "products of eight bits, what is best for rollouts (auto)",
    )
    policy.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the policy is told, as input_param=0.8; may be given again",
    )
    policy.add_argument(
        "--disturb",
        nargs="?",
        const=EACH,
        choices=(*KINDS, ALL, EACH),
        help="push the arms, delay commands, change light, add noise; all at once; or each alone, "
        "then all at once, which is meant if none is named",
    )
    policy.add_argument(
        "--perturb",
        action="store_true",
        help="of motions to a goal: shove the arms out of their way, and move the goal meanwhile; "
        "only what is reached after that counts",
    )
    return known


def _ticks(text: str) -> int:
    number = count(text)
    if number > TICKS:
        raise argparse.ArgumentTypeError(f"{text} is more than an episode's {TICKS} ticks")
    return number


def _weight(text: str) -> float:
    """As the chunk player's parameter m."""
    low, high = -1, 10
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number") from None
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text} is outside {low} … {high}")
    return number
