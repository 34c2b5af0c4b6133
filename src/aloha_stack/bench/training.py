"""`./aloha bench training`: samples a second that ACT learns from, ours beside LeRobot's.

The network that LeRobot ships (51.6 million weights, one decoder layer) learns from 640x480
pictures of one camera, eight samples a step. Ours is the whole step of `./aloha train act` with
precision bf16: pictures are read and decoded from episodes, then loss, gradient and AdamW.
LeRobot's is its training step alone, in float32 as it trains by default: its batches lie in memory,
converted and normalised. Both begin with the same weights, have as many threads, and take turns; a
figure is the median of the turns. LeRobot needs ALOHA_PEERS=PYTHON in the environment, a Python
that has it.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aloha_stack.bench.foreign import PEERS, ForeignError
from aloha_stack.bench.options import add_folder, bench_parser
from aloha_stack.bench.report import NO_TORCH, Bar, Report, Row, at_fault
from aloha_stack.bench.scratch import scratch_folder
from aloha_stack.bench.telling import begin, finish, give_up
from aloha_stack.progress import Progress

if TYPE_CHECKING:
    from aloha_stack.bench.training_peer import LeRobotTraining
    from aloha_stack.bench.training_subject import Size, Subject

EXAMPLE = """examples:
  ALOHA_PEERS=~/lerobot/bin/python ./aloha bench training --json training.json
  ./aloha bench training --cameras 4 --batch 2 --decoder-layers 7
"""
WARM_UP = 1
"""Turns that do not count."""

FASTER = Bar("ratio", ">=", 3.0)
ALIKE = Bar("value", "<=", 0.01)


@dataclass
class Turns:
    """Seconds of each side's turns of `steps` steps, the uncounted ones included.

    Called after each of our steps, it begins the other side's turn when ours is over, and says
    when all are done: what a Trainer asks to stop.
    """

    steps: int
    rounds: int
    other: Callable[[int], float] | None  # seconds of a step
    show: Callable[[float], None]
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    taken: int = 0
    began_s: float = field(default_factory=time.perf_counter)

    def __call__(self) -> bool:
        self.taken += 1
        if self.taken % self.steps:
            return False
        self.ours.append(time.perf_counter() - self.began_s)
        if self.other is not None:
            self.theirs.append(sum(self.other(number) for number in range(self.steps)))
        self.show(len(self.ours) / (WARM_UP + self.rounds))
        self.began_s = time.perf_counter()
        return len(self.ours) == WARM_UP + self.rounds

    def samples_per_second(self, seconds: Sequence[float], batch: int) -> float | None:
        """The median of the turns that count; None where nobody took them."""
        counted = seconds[WARM_UP:]
        return self.steps * batch / statistics.median(counted) if counted else None


def main(argv: Sequence[str]) -> int:
    """Carries out the command; the exit status tells whether all bars hold."""
    options = _parser().parse_args(list(argv))
    try:
        import torch
    except ImportError:
        return at_fault("training", NO_TORCH)
    progress, found = begin("training")
    threads = options.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    try:
        with scratch_folder(options.folder) as folder:
            rows = _rows(options, threads, folder, progress)
    except ForeignError as error:
        return give_up("training", progress, f"lerobot's ACT: {error}")
    return finish(
        Report("training", rows, found | {"threads": threads, "torch": torch.__version__}),
        progress,
        options.json,
    )


def _rows(options: argparse.Namespace, threads: int, folder: Path, progress: Progress) -> list[Row]:
    from aloha_stack.bench.training_peer import LeRobotTraining
    from aloha_stack.bench.training_subject import Size, Subject

    size = Size(options.cameras, options.picture, options.batch, options.decoder_layers)
    progress.show("recording episodes")
    subject = Subject(size, folder)
    peers = os.environ.get(PEERS)
    with ExitStack() as stack:
        lerobot = None
        if peers:
            progress.show("starting lerobot")
            lerobot = stack.enter_context(
                LeRobotTraining(Path(peers), folder, subject.objective, subject.batches, threads)
            )
        else:
            progress.say(
                f"aloha bench training: lerobot's ACT is not measured: {PEERS} is not set; set "
                "it to a Python that has lerobot"
            )
        return measured(subject, size, lerobot, options.rounds, options.steps, progress)


def measured(
    subject: "Subject",
    size: "Size",
    lerobot: "LeRobotTraining | None",
    rounds: int,
    steps: int,
    progress: Progress,
) -> list[Row]:
    """Both learn in turns; the figures."""
    name = None if lerobot is None else f"{lerobot.name}, float32"
    what = f"ACT {subject.parameters / 1e6:.1f} M, {size}"
    apart = None if lerobot is None else abs(subject.loss() - lerobot.loss)
    turns = Turns(
        steps,
        rounds,
        None if lerobot is None else lerobot.seconds,
        lambda part: progress.show(what, part),
    )
    trainer = subject.trainer
    trainer.run(stop=turns)
    rates = [turns.samples_per_second(one, size.batch) for one in (turns.ours, turns.theirs)]
    passed_s = sum(turns.ours)
    rows = [
        Row(f"{what}: learning", rates[0], "samples/s", name, rates[1], FASTER if name else None),
        Row("ours: waiting for pictures", 100 * trainer.waited_s / passed_s, "%"),
    ]
    if apart is not None:
        metric = "difference of the loss before the first step, in normalised units"
        rows.append(Row(metric, apart, "", name, bar=ALIKE))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = bench_parser("training", __doc__, EXAMPLE)
    parser.add_argument("--cameras", type=int, choices=range(1, 5), default=1, help="(1)")
    parser.add_argument(
        "--picture", type=_size, default=(480, 640), metavar="WxH", help="size (640x480)"
    )
    parser.add_argument("--batch", type=_count, default=8, help="samples a step (8)")
    parser.add_argument("--decoder-layers", type=_count, default=1, help="of the decoder (1)")
    parser.add_argument("--rounds", type=_count, default=5, help="turns of each side (5)")
    parser.add_argument("--steps", type=_count, default=3, help="of a turn (3)")
    parser.add_argument("--threads", type=_count, help="of each side (all processors)")
    add_folder(parser, "episodes and weights")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, mark, height = text.partition("x")
    if not mark or not all(side.isdecimal() and 32 <= int(side) <= 640 for side in (width, height)):
        raise argparse.ArgumentTypeError(f"'{text}' is no WIDTHxHEIGHT of 32 … 640 px")
    return int(height), int(width)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 to 1000")
    return int(text)
