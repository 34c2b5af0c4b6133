"""One chunk of ACT on this machine: "fast" and "int8" beside lerobot's ACT and the plain network.

The network is that of --model, or has the paper's sizes, four cameras of 640x480 and weights that
are not trained; observations are those of --data, or drawn. All have the same weights, the same
observations and as many threads, and take turns; a figure is the median of the rounds. Ours is
measured from the pictures, uint8, to the chunk in rad; lerobot's without the conversion and
normalisation of its pictures. lerobot's needs ALOHA_PEERS=PYTHON in the environment, a Python that
has lerobot.

With --policy it measures one tick of a recurrent policy on one core instead: a camera's JPEG of
640x480 decoded, the network's step, a chunk; networks as published and as recipes have them, not
trained, or the one of --model.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aloha_stack.bench.foreign import PEERS, ForeignError
from aloha_stack.bench.options import bench_parser
from aloha_stack.bench.report import NO_TORCH, Bar, Report, Row, at_fault
from aloha_stack.bench.telling import begin, finish, give_up
from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.policies.options import EAGER
from aloha_stack.policies.policy import PolicyError
from aloha_stack.progress import Progress

if TYPE_CHECKING:
    from aloha_stack.bench.inference_subjects import Subject

EXAMPLE = """examples:
  ./aloha bench inference
  ./aloha bench inference --model models/full --data episodes/cube/episode_000000
  ./aloha bench inference --policy sarnn
  ALOHA_PEERS=~/lerobot/bin/python ./aloha bench inference --json inference.json
"""
PLAIN = "plain network, float32"
RECURRENT = ("each_layer_lstm", "cnnrnn", "cae_rnn", "sarnn")
WARM_UP = 2
"""Rounds that do not count: memory is allocated and weights are packed in them."""

FASTER = Bar("ratio", "<=", 0.25)
ALIKE = Bar("value", "<=", 0.01)
SMALL_MS = Bar("value", "<=", 10.0)
CUDA_MS = Bar("value", "<=", 3.0)


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    try:
        import torch
    except ImportError:
        return at_fault("inference", NO_TORCH)
    progress, found = begin("inference")
    threads = options.threads or (1 if options.policy else len(os.sched_getaffinity(0)))
    torch.set_num_threads(threads)
    try:
        rows = _rows(options, threads, progress)
    except (PolicyError, EpisodeError) as error:
        return at_fault("inference", str(error))
    except ForeignError as error:
        return give_up("inference", progress, f"lerobot's ACT: {error}")
    return finish(
        Report("inference", rows, found | {"threads": threads, "torch": torch.__version__}),
        progress,
        options.json,
    )


def _rows(options: argparse.Namespace, threads: int, progress: Progress) -> list[Row]:
    from aloha_stack.bench.inference_subjects import full_size, of_model, on_cuda, small_recipe

    progress.show("making the networks")
    if options.policy:
        from aloha_stack.bench import inference_recurrent as recurrent

        return recurrent.rows(
            options.policy, options.model, options.input_param, options.rounds, progress
        )
    given = options.model
    subject = full_size(options.data) if given is None else of_model(given, options.data)
    rows = _beside_lerobot(subject, options.rounds, threads, progress)
    small = small_recipe()
    rows += _beside_plain(small, options.rounds, progress, SMALL_MS)
    if cuda := on_cuda(subject):
        rows += _beside_plain(cuda, options.rounds, progress, CUDA_MS)
    return rows


def _beside_lerobot(subject: "Subject", rounds: int, threads: int, progress: Progress) -> list[Row]:
    """The same network by ours and by lerobot, if there is one that can be it."""
    from aloha_stack.bench.inference_peer import LeRobotAct, lerobot_config

    peers = os.environ.get(PEERS)
    try:
        lerobot_config(subject.policy.network.config)
    except PolicyError as error:
        missing = str(error)
    else:
        missing = "" if peers else f"{PEERS} is not set; set it to a Python that has lerobot"
    if not peers or missing:
        progress.say(f"aloha bench inference: lerobot's ACT is not measured: {missing}")
        return _beside_plain(subject, rounds, progress, None)
    with tempfile.TemporaryDirectory(prefix="aloha_bench_") as folder:
        progress.show("starting lerobot")
        with LeRobotAct(
            Path(peers), Path(folder), subject.policy, subject.observations, threads
        ) as lerobot:
            name = f"{lerobot.name}, float32"
            plain = partial(subject.seconds, EAGER)
            others: dict[str, Callable[[int], float]] = {name: lerobot.seconds, PLAIN: plain}
            took = measured({**_ours(subject), **others}, subject, rounds, progress)
            fastest = subject.faster[-1]
            rows = [
                _time(subject, backend, took, peer, bar if backend == fastest else None)
                for peer, bar in ((name, FASTER), (PLAIN, None))
                for backend in subject.faster
            ]
            return rows + _differences(subject, lerobot.actions, name)


def _beside_plain(
    subject: "Subject", rounds: int, progress: Progress, bar: Bar | None
) -> list[Row]:
    others = {PLAIN: partial(subject.seconds, EAGER)}
    took = measured({**_ours(subject), **others}, subject, rounds, progress)
    rows = [_time(subject, backend, took, PLAIN, bar) for backend in subject.faster]
    return rows + _differences(subject, subject.actions(), PLAIN)


def _ours(subject: "Subject") -> dict[str, Callable[[int], float]]:
    return {backend: partial(subject.seconds, backend) for backend in subject.faster}


def measured(
    contenders: Mapping[str, Callable[[int], float]],
    subject: "Subject",
    rounds: int,
    progress: Progress,
) -> dict[str, float]:
    """Milliseconds of a chunk, the median of the rounds, in each of which all have their turn."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-WARM_UP, rounds):
        progress.show(subject.name, max(0, turn) / rounds)
        for name, seconds in contenders.items():
            one = seconds(turn % len(subject.observations))
            if turn >= 0:
                took[name].append(1e3 * one)
    return {name: statistics.median(values) for name, values in took.items()}


def _time(
    subject: "Subject", backend: str, took: Mapping[str, float], peer: str, bar: Bar | None
) -> Row:
    name = f"{subject.name}: a chunk, {backend}"
    return Row(name, took[backend], "ms", peer, took[peer], bar)


def _differences(subject: "Subject", expected: np.ndarray, peer: str) -> list[Row]:
    rows = []
    for backend in subject.faster:
        largest = float(np.abs(subject.actions(backend) - expected).max())
        name = f"{subject.name}: largest difference of {backend} from {peer}"
        rows.append(Row(name, largest, "rad", bar=ALIKE))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("inference", __doc__, EXAMPLE)
    parser.add_argument(
        "--model", type=Path, metavar="FOLDER", help="a checkpoint of ACT, or of --policy"
    )
    parser.add_argument("--policy", choices=RECURRENT, help="a recurrent one instead of ACT")
    parser.add_argument(
        "--input-param",
        type=_share,
        metavar="P",
        help="of a recurrent policy (1, and 0.8 where pictures are predicted)",
    )
    parser.add_argument(
        "--data", type=Path, nargs="+", metavar="DIR", help="episodes that observations come from"
    )
    parser.add_argument("--rounds", type=_count, default=9, help="of all in turns (9)")
    parser.add_argument("--threads", type=_count, help="of each (all processors)")
    return parser


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 0 to 1")
    return number


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 to 1000")
    return int(text)
