"""`./aloha demo`: two teleoperated episodes are recorded, one is replayed, all are judged; then the
policy that is shipped for the task has its turn."""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aloha_stack.analysis.plots import plot_joints
from aloha_stack.analysis.reporting import PAGE, session_of, write
from aloha_stack.analysis.success import succeeded
from aloha_stack.analysis.tables import camera_table, episode_table
from aloha_stack.analysis.video import write_video
from aloha_stack.arguments import count, seed
from aloha_stack.episodes.quality import FLAWED, GOOD
from aloha_stack.episodes.reader import Episode
from aloha_stack.episodes.summary import EpisodeSummary, summarise
from aloha_stack.episodes.thresholds import load_thresholds
from aloha_stack.graph import Graph, GraphFailed
from aloha_stack.policies.policy import PolicyError
from aloha_stack.progress import Progress
from aloha_stack.robot.share import share_folder

EXAMPLE = """examples:
  ./aloha demo
  ./aloha demo --out /data/demo --seed 7
"""

UNSEEN = (1000, 1001)
"""Seeds of the rollouts' worlds: nothing is ever trained in those from 1000 on."""

NONE_SHIPPED = "No rollout: models/ holds no checkpoint for this task."


@dataclass(frozen=True)
class Replayed:
    """What came of the replay: the seed of its world, and the best reward in it."""

    seed: int
    reward: int
    success: bool


@dataclass(frozen=True)
class RolledOut:
    """What came of the policy's rollouts: the best reward, and what was counted on the way."""

    model: str
    success: bool
    reward: int
    jumps: int = 0
    words: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()


def main(argv: Sequence[str]) -> int:
    """Carries out the command. 0: all succeeded, all data whole; 1: not so; 2: wrong request."""
    options = _parser().parse_args(list(argv))
    out: Path = options.out / datetime.now().strftime("demo_%Y%m%d_%H%M%S")
    try:
        out.mkdir(parents=True)
    except OSError as error:
        print(f"aloha demo: cannot write into {options.out}: {error.strerror}", file=sys.stderr)
        return 2
    began_s = time.monotonic()
    progress = Progress()
    try:
        seeds = [options.seed + index for index in range(options.episodes)]
        paths = record(out, options.task, seeds, progress)
        replayed = replay(out, options.task, paths[0], seeds[0], progress)
        rolled = roll_out(out, options.task, progress)
    except (GraphFailed, PolicyError) as failure:
        progress.say(f"aloha demo: {failure}")
        return 1
    summaries = [summarise(path) for path in paths]
    pictures = draw(out, paths, progress)
    print()
    print(f"{episode_table(summaries)}\n\n{camera_table(summaries)}\n")
    print(f"replay of {paths[0].name}: reward {replayed.reward}, {_word(replayed.success)}")
    if rolled is None:
        print(f"{NONE_SHIPPED}\n")
    else:
        print(f"rollout of {rolled.model}: reward {rolled.reward}, {_word(rolled.success)}")
        print("".join(f"  {line}\n" for line in rolled.words))
    for picture in [*pictures, *paths, *(rolled.paths if rolled else ())]:
        print(f"  {picture}")
    problems = find_problems(summaries, replayed, rolled)
    print(f"\n{time.monotonic() - began_s:.0f} s. The robot and its world were simulated.")
    for problem in problems:
        print(f"FAILED: {problem}")
    for flaw in find_flaws(summaries):
        print(f"noted: {flaw}")
    if not problems:
        who = (
            "every episode, the replay and the policy" if rolled else "every episode and the replay"
        )
        print(f"SUCCESS: {who} reached the task's full reward; all data whole.")
    return 1 if problems else 0


def record(out: Path, task: str, seeds: Sequence[int], progress: Progress) -> list[Path]:
    """Starts the teleoperation graph and records one demonstration per seed; their folders."""
    progress.say(f"Teleoperation: the scripted operator shows '{task}' {len(seeds)} times.")
    arguments = {
        "robot": "twin",
        "task": task,
        "seed": str(seeds[0]),
        "directory": str(out / "episodes"),
    }
    paths = []
    with Graph("teleop_record", arguments, out / "teleop_record.log") as graph:
        progress.show("starting 9 nodes")
        command = ["demonstrate", "--record", "--seeds", *map(str, seeds)]
        for event in graph.session(*command):
            if event["event"] == "waiting":
                progress.show(f"waiting for {event['what']}")
            elif event["event"] == "progress":
                progress.show(
                    f"episode {event['index'] + 1} of {len(seeds)}: {event['elapsed']:.1f} of "
                    f"{event['length']:.0f} s, reward {event['reward']} of {event['max_reward']}, "
                    f"{event['real_time_factor']:.2f} × real time",
                    event["elapsed"] / event["length"],
                )
            elif event["event"] == "episode":
                paths.append(Path(event["path"]))
                progress.say(
                    f"  {paths[-1].name}: seed {event['seed']}, reward {event['reward']}, "
                    f"{event['messages']} messages, {event['lost']} lost"
                )
        progress.show("parking the arms")
    return paths


def replay(out: Path, task: str, episode: Path, world: int, progress: Progress) -> Replayed:
    """Plays one episode's executed commands in a fresh graph; `world` is the seed of its world."""
    progress.say(f"Replay: the commands of {episode.name} once more, in a fresh world.")
    arguments = {
        "robot": "twin",
        "task": task,
        "seed": str(world),
        "episode": str(episode),
        "wait_for_start": "true",
    }
    result = None
    with Graph("replay", arguments, out / "replay.log") as graph:
        progress.show("starting 8 nodes")
        for event in graph.session("replay", "--seeds", str(world)):
            if event["event"] == "waiting":
                progress.show(f"waiting for {event['what']}")
            elif event["event"] == "progress":
                progress.show(f"replaying, reward {event['reward']}")
            elif event["event"] == "replayed":
                result = Replayed(world, event["reward"], event["success"])
        progress.show("parking the arms")
    if result is None:
        raise GraphFailed("the replay's session ended without a result")
    return result


def shipped(task: str, models: Path | None = None) -> Path | None:
    """The first checkpoint in models/ that was trained on `task`, if there is one. Raises
    PolicyError for one that is damaged."""
    from aloha_stack.policies.checkpoint import CONFIG, read_config  # torch takes its time

    folder = models or share_folder() / "models"
    for file in sorted(folder.glob(f"*/{CONFIG}")):
        if read_config(file.parent)["spec"].task == task:
            return file.parent
    return None


def roll_out(
    out: Path, task: str, progress: Progress, models: Path | None = None
) -> RolledOut | None:
    """The shipped policy acts in a world that it has never seen, through all nodes; in a second one
    if it fails. None if none is shipped for the task."""
    model = shipped(task, models)
    if model is None:
        progress.say(NONE_SHIPPED)
        return None
    from aloha_stack.evaluation.plan import Plan  # torch takes its time
    from aloha_stack.through_graph import GraphEpisodes, GraphOutcome, figures, words

    progress.say(f"Rollout: the policy {model.name} on its own, from joints and pictures.")
    plan = Plan(str(model), task)
    spec = plan.check()
    assert spec is not None, "a policy has one"
    record = out / "rollouts"
    episodes = GraphEpisodes(plan, UNSEEN, progress, out, spec.cameras, record)
    tried = []
    with closing(episodes.outcomes()) as outcomes:
        for outcome in outcomes:
            assert isinstance(outcome, GraphOutcome), "a policy's"
            tried.append(outcome)
            what = f"reward {outcome.reward}, {_word(outcome.success)} {outcome.remark}"
            progress.say(f"  seed {outcome.seed}: {what}".rstrip())
            if outcome.success:
                break
    found = figures(tried, episodes.faults)
    paths = tuple(Path(outcome.path) for outcome in tried if outcome.path)
    best = max(tried, key=lambda outcome: (outcome.success, outcome.reward))
    return RolledOut(
        model.name, best.success, best.reward, found["jumps"], tuple(words(found)), paths
    )


def draw(out: Path, paths: Sequence[Path], progress: Progress) -> list[Path]:
    """Joint plots and a four-camera video of each episode, and a page about all."""
    pictures = []
    for path in paths:
        episode = Episode(path)
        progress.show(f"drawing {path.name}")
        pictures.append(plot_joints(episode, out / f"{path.name}_joints.png"))

        def tell(done: int, total: int, name: str = path.name) -> None:
            progress.show(f"video of {name}: {done} of {total} frames", done / total)

        pictures.append(write_video(episode, out / f"{path.name}_cameras.mp4", progress=tell))
    progress.show("a page about all of them")
    pictures.append(out / PAGE)
    write(pictures[-1], session_of(paths[0].parent, paths, load_thresholds()))
    progress.say("Plots, videos and a page about them are made.")
    return pictures


def find_problems(
    summaries: Sequence[EpisodeSummary], replayed: Replayed, rolled: RolledOut | None = None
) -> list[str]:
    """Why the demo failed; empty if it did not."""
    problems = []
    for summary in summaries:
        name = Path(summary.path).name
        if not succeeded(summary):
            problems.append(f"{name} reached reward {summary.best_reward} of {summary.max_reward}")
        if summary.verdict not in (GOOD, FLAWED) or summary.lost:
            problems += [f"{name}: {reason}" for reason in summary.reasons]
    if not replayed.success:
        problems.append(f"the replay reached reward {replayed.reward} only")
    if rolled is not None and not rolled.success:
        problems.append(f"{rolled.model} reached reward {rolled.reward} only")
    if rolled is not None and rolled.jumps:
        problems.append(f"the commands of {rolled.model} jumped {rolled.jumps} times")
    return problems


def find_flaws(summaries: Sequence[EpisodeSummary]) -> list[str]:
    """What the quality gate notes of whole episodes: a loaded machine leads its twin unevenly."""
    return [
        f"{Path(summary.path).name}: {reason}"
        for summary in summaries
        if summary.verdict == FLAWED and not summary.lost
        for reason in summary.reasons
    ]


def _word(success: bool) -> str:
    return "success" if success else "failure"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha demo",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for what it makes")
    parser.add_argument("--task", default="transfer_cube", choices=("transfer_cube",))
    parser.add_argument("--episodes", type=count, default=2, metavar="N")
    parser.add_argument("--seed", type=seed, default=0, help="of the first episode's world")
    return parser
