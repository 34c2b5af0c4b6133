"""What a recurrent policy tells of recorded episodes: joints, pictures and points of attention.

Writes, for each episode, NAME_joints.png (told against measured and commanded), NAME.mp4 (what it
sees, with its points, beside the picture that it tells) and a row of offline.json. With
--input-param p the network sees p * sensor + (1 - p) * its own prediction after the first step: 1
off line, 0.8 as eipl drives robots, 0 on its own after the first picture. Source: ogata-lab/eipl
(test.py). Exit status 0, or 1 for a checkpoint or episodes that cannot be used.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aloha_stack.analyses.offline_pictures import draw_joints, write_film
from aloha_stack.analyses.recurrent_subject import Seen, Subject, arguments
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.policies.policy import PolicyError
from aloha_stack.progress import Progress

EXAMPLES = """examples:
  ./aloha analyse offline models/pick --data episodes/untaught --out out/offline
  ./aloha analyse offline models/pick --data episodes/untaught --out out/alone --input-param 0
"""
TROUBLE = 1
MOST = 5
"""Episodes, unless --episodes says otherwise."""


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(list(argv))
    progress = Progress(sys.stderr)
    try:
        subject = Subject(options.checkpoint)
        store = subject.episodes(options.data, progress)
        options.out.mkdir(parents=True, exist_ok=True)
        rows, files = [], []
        for number, episode in enumerate(store.episodes[: options.episodes]):
            progress.show(f"drawing {episode.path.name}", number / len(store.episodes))
            seen = subject.sequence(store, number)
            if len(seen.times_s) < 2:
                raise EpisodeError(f"{seen.path} has one step: there is no next one to tell")
            trace = subject.trace(seen, options.input_param, with_image=True)
            told = subject.told(trace)
            rows.append(errors(subject.joint_names, seen, told))
            stem = f"{number:02d}_{seen.path.name}"
            files += [
                draw_joints(seen, told, subject.joint_names, options.out / f"{stem}_joints.png"),
                write_film(subject, seen, trace, options.out / f"{stem}.mp4"),
            ]
        numbers = options.out / "offline.json"
        document = {"input_param": options.input_param, "episodes": rows}
        numbers.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except (PolicyError, EpisodeError, OSError) as error:
        progress.clear()
        print(f"aloha analyse offline: {error}", file=sys.stderr)
        return TROUBLE
    progress.clear()
    for row in rows:
        print(
            f"{Path(row['path']).name}: {row['steps']} steps, root mean square "
            f"{row['rms_to_command']:.4f} from the next command, {row['rms_to_measured']:.4f} from "
            "the next measured joints"
        )
    print(*files, numbers, sep="\n")
    return 0


def errors(names: Sequence[str], seen: Seen, told: np.ndarray) -> dict[str, Any]:
    """Root mean squares in the robot's units (rad; gripper 0 … 1), for JSON."""
    to_command = _rms(told[:-1] - seen.commands[1:])
    to_measured = _rms(told[:-1] - seen.joints[1:])
    return {
        "path": str(seen.path),
        "steps": len(told),
        "rms_to_command": float(np.sqrt(np.mean(np.square(to_command)))),
        "rms_to_measured": float(np.sqrt(np.mean(np.square(to_measured)))),
        "of_joints": {
            name: {"rms_to_command": float(command), "rms_to_measured": float(measured)}
            for name, command, measured in zip(names, to_command, to_measured, strict=True)
        },
    }


def _rms(difference: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.sqrt(np.square(difference).mean(axis=0))
    return found


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"'{text}': expected a number of 0 … 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = arguments("offline", __doc__ or "", EXAMPLES)
    parser.add_argument(
        "--input-param",
        type=_share,
        default=1.0,
        metavar="P",
        help="how much of its input is perceived, not predicted, 0 … 1 (default: 1)",
    )
    parser.add_argument(
        "--episodes", type=int, default=MOST, metavar="N", help="the first N (default: %(default)s)"
    )
    return parser
