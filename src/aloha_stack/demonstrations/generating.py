"""Makes demonstrations by the twin's scripted operator, as fast as the machine can, without ROS.

They are episodes as the recorder writes them. Only attempts that succeed by the task's own reward
are kept; the episode's number is the seed of its world. What is there already is not made again.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from aloha_stack.arguments import count, seed
from aloha_stack.demonstrations.attempts import Attempts
from aloha_stack.demonstrations.generated_folder import GeneratedFolder
from aloha_stack.demonstrations.seeds import evenly, in_turn
from aloha_stack.demonstrations.settings import EVALUATION_SEED, Request
from aloha_stack.demonstrations.worker import attempt
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.folder import episode_path
from aloha_stack.progress import Progress, duration
from aloha_stack.robot.description import RobotConfigError, load_robot
from aloha_stack.robot.joints import CAMERAS
from aloha_stack.twin.new_process import prepare
from aloha_stack.twin.operator_script import SCRIPTS
from aloha_stack.twin.variation import HELP, VariationError

EXAMPLE = """examples:
  ./aloha episodes generate --task transfer_cube --episodes 50 --evenly --directory cube
  ./aloha episodes generate --task insertion --episodes 200 --seed 100 --directory insertion \\
      --cameras cam_high,cam_left_wrist,cam_right_wrist --size 320x240 --jobs 2
  ./aloha episodes generate --task pick_place --variation taught --episodes 30 --directory taught \\
      --cameras cam_low --size 320x240
"""


def main(argv: Sequence[str]) -> int:
    """0: all are there; 1: not all could be made; 2: the request is at fault."""
    options = _parser().parse_args(list(argv))
    request = Request(options.task, options.cameras, options.size, variation=options.variation)
    progress = Progress()
    try:
        request.robot()
        request.worlds()
        with GeneratedFolder(options.directory, request) as folder:
            seeds = evenly(request, options.seed) if options.evenly else in_turn(options.seed)
            attempts = Attempts(options.episodes, seeds, folder.done)
            return _generate(request, folder.directory, attempts, options.jobs, progress)
    except (EpisodeError, RobotConfigError, VariationError) as error:
        print(f"aloha episodes generate: {error}", file=sys.stderr)
        return 2


def _generate(
    request: Request, directory: Path, attempts: Attempts, jobs: int, progress: Progress
) -> int:
    began_s = time.monotonic()
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=prepare, initargs=(jobs,)
    )
    running: dict[Future[bool], int] = {}
    try:
        while not attempts.over:
            while len(running) < jobs and (number := attempts.next()) is not None:
                running[pool.submit(attempt, request, directory, number)] = number
            ended, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in ended:
                attempts.came(running.pop(future), future.result())
            _show(attempts, began_s, progress)
    except BrokenProcessPool:
        progress.say("aloha episodes generate: a worker died; start it again, it goes on from here")
        return 1
    except OSError as error:
        progress.say(f"aloha episodes generate: {error}")
        return 1
    finally:
        progress.clear()
        pool.shutdown(wait=True, cancel_futures=True)
    return _tell_end(request, directory, attempts, time.monotonic() - began_s, progress)


def _show(attempts: Attempts, began_s: float, progress: Progress) -> None:
    rate = attempts.made / max(time.monotonic() - began_s, 1e-3)
    left = attempts.wanted - attempts.successes
    words = f"{attempts.successes} of {attempts.wanted}"
    if attempts.made:
        words += f", {60 * rate:.1f} a minute, {duration(left / rate)} left"
    if attempts.failed:
        words += f", {len(attempts.failed)} failed"
    progress.show(words, attempts.successes / attempts.wanted)


def _tell_end(
    request: Request, directory: Path, attempts: Attempts, seconds: float, progress: Progress
) -> int:
    found = f" ({attempts.found} were there)" if attempts.found else ""
    tried = attempts.made + len(attempts.failed)
    progress.say(
        f"{attempts.successes} demonstrations of {request.task} in {directory}{found}: "
        f"{attempts.made} of {tried} attempts succeeded, in {duration(seconds)} (simulated)"
    )
    if attempts.failed:
        progress.say(f"failed, and not kept: seeds {', '.join(map(str, sorted(attempts.failed)))}")
    if attempts.made:
        size = sum(f.stat().st_size for n in _numbers(directory) for f in n.iterdir())
        progress.say(f"{size / 1e6:.0f} MB on the disk")
    if attempts.successes < attempts.wanted:
        progress.say(
            f"aloha episodes generate: {attempts.wanted} were asked for, but the seeds below "
            f"{EVALUATION_SEED} are used up; those above are kept for evaluation. Begin at a lower "
            "--seed, or ask for fewer"
        )
        return 1
    return 0


def _numbers(directory: Path) -> list[Path]:
    paths = (episode_path(directory, number) for number in range(EVALUATION_SEED))
    return [path for path in paths if path.is_dir()]


# -- arguments ------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aloha episodes generate",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", default="transfer_cube", choices=tuple(SCRIPTS))
    parser.add_argument(
        "--variation",
        default="",
        metavar="WORDS",
        help=HELP,
    )
    parser.add_argument("--episodes", type=count, default=50, metavar="N", help="how many (50)")
    parser.add_argument(
        "--seed",
        type=_training_seed,
        default=0,
        metavar="S",
        help=f"of the first world (0); below {EVALUATION_SEED}: those above are for evaluation",
    )
    parser.add_argument(
        "--evenly",
        action="store_true",
        help="seeds from S on whose objects lie evenly over the table, as who puts them down by "
        "hand does it; else one after the other",
    )
    parser.add_argument("--directory", type=Path, required=True, help="a folder of their own")
    parser.add_argument(
        "--cameras",
        type=_cameras,
        default=CAMERAS,
        metavar="A,B",
        help=f"of {', '.join(CAMERAS)} (all)",
    )
    parser.add_argument(
        "--size", type=_size, default=(640, 480), metavar="WxH", help="of pictures (640x480)"
    )
    parser.add_argument("--jobs", type=count, default=2, help="processes (2)")
    return parser


def _training_seed(text: str) -> int:
    number = seed(text)
    if number >= EVALUATION_SEED:
        raise argparse.ArgumentTypeError(
            f"{number} is reserved: worlds of seed {EVALUATION_SEED} and above are for evaluation, "
            "and nothing is trained on them"
        )
    return number


def _cameras(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    known = load_robot("twin", {"ALOHA_PORTS": "none"}).cameras
    if strange := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(
            f"no camera {', '.join(map(repr, strange))}; there is {', '.join(known)}"
        )
    return names


def _size(text: str) -> tuple[int, int]:
    width, mark, height = text.partition("x")
    if not (mark and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; expected WxH, such as 320x240")
    size = int(width), int(height)
    if not all(16 <= side <= 4096 for side in size):
        raise argparse.ArgumentTypeError(f"{text} is outside 16x16 … 4096x4096")
    return size
