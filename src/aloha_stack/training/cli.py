"""`./aloha train POLICY`: learns a policy from recorded episodes.

Exit status 0 at the end, 1 when the training cannot begin or go on, 2 for a wrong request, 130 or
143 when it was stopped by SIGINT or SIGTERM (what --resume needs is then saved).
"""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from aloha_stack.arguments import count, seed
from aloha_stack.training.errors import TrainingError

EXAMPLES = """examples:
  ./aloha train act --data episodes/cube --out models/cube
  ./aloha train act --data episodes/cube --out models/cube --minutes 40 --set training.batch=32
  ./aloha train act --data episodes/a episodes/b --out models/ab --recipe act_paper
  ./aloha train act --data cube rollouts --out models/b --set 'data.commanders=[human]'
  ./aloha train act --out models/cube --resume
  ./aloha train each_layer_lstm --data episodes/pick --out models/pick --minutes 40
  ./aloha train cae --data episodes/pick --out models/pick_cae
  ./aloha train cnnrnn --data episodes/pick --out models/pick_cnnrnn \\
      --set network.encoder_from=models/pick_cae
  ./aloha train byol --data episodes/cube --out models/cube_eyes --minutes 20
  ./aloha train vinn --data episodes/cube --out models/cube_vinn --encoder models/cube_eyes
  ./aloha train vinn --data episodes/one_more --out models/cube_vinn --add
  ./aloha python -m tensorboard.main --logdir models
  ./aloha python -m torch.distributed.run --nproc-per-node 2 -m aloha_stack.training.cli \\
      act --data episodes/cube --out models/cube

The folder --out then holds the policy with the best validation loss (model.safetensors,
config.json, CARD.md), and in run/ what --resume and TensorBoard need. Recipes are the files in
config/policies; --set changes one of their values.
"""
TROUBLE = 1
VINN = "vinn"
POLICIES = (
    *("act", "each_layer_lstm", "cnnrnn", "cae_rnn", "sarnn", "cae", "snds", "cloning"),
    *("byol", VINN),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    began_s = time.monotonic()
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    options = parser.parse_args(words)
    if not options.resume and not options.data:
        parser.error("--data is needed (or --resume, to go on with --out)")
    if options.resume and (options.recipe or options.seed is not None):
        parser.error("--resume goes on with the recipe and seed that --out began with")
    if options.policy != VINN and (options.encoder or options.add):
        parser.error("--encoder and --add are for vinn")
    if options.policy == VINN and (options.resume or options.minutes):
        parser.error("a vinn is made at once: --resume and --minutes are for other policies")
    if options.add and (options.encoder or options.recipe or options.set):
        parser.error("--add lets episodes join --out as it is: no --encoder, --recipe or --set")
    # Heavy, and not needed for --help.
    from aloha_stack.episodes.errors import EpisodeError
    from aloha_stack.training.training import Request, train
    from aloha_stack.training.vinn_request import make_vinn

    request = Request(
        policy=options.policy,
        data=tuple(options.data),
        out=options.out,
        recipe=options.recipe,
        changes=tuple(options.set),
        seed=options.seed,
        minutes=options.minutes,
        resume=options.resume,
        workers=options.workers,
        cache=options.cache,
        device=options.device,
        encoder=options.encoder,
        add=options.add,
        command=shlex.join(["./aloha", "train", *words]),
        began_s=began_s,
    )
    try:
        with stop_signals() as caught:
            work = make_vinn if options.policy == VINN else train
            work(request, stop=lambda: bool(caught))
    except (TrainingError, EpisodeError, OSError) as error:
        print(f"aloha train: {error}", file=sys.stderr)
        return TROUBLE
    return 128 + caught[0] if caught else 0


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """The signals that asked to stop, as they come; a second one ends at once."""
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number") from None
    if not 0 < minutes <= 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no time; expected minutes above 0")
    return minutes


def _workers(text: str) -> int:
    return 0 if text == "0" else count(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./aloha train",
        description="Learns a policy from recorded episodes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("policy", choices=POLICIES, metavar="POLICY", help=", ".join(POLICIES))
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="episodes, or folders of them; those whose outcome is failure are left out",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="a file of config/policies, as act_paper, or another.yaml (default: the policy's "
        "own; of act, act_cpu)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value of the recipe, as network.hidden=128; may be given several times",
    )
    parser.add_argument("--seed", type=seed, help="of all that is random (default: 0)")
    parser.add_argument(
        "--minutes",
        type=_minutes,
        metavar="M",
        help="of wall time for all of it, instead of the recipe's number of steps",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the training in --out")
    parser.add_argument(
        "--workers",
        type=_workers,
        default=None,
        metavar="N",
        help="processes that read pictures (default: 0 with the cache, else as many as there are "
        "processors, 2 at most)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where decoded pictures are kept (default: .cache in the first --data, if the recipe "
        "says data.cache: true)",
    )
    parser.add_argument(
        "--encoder",
        metavar="WHAT",
        help="of a vinn: random, joints, a checkpoint of byol, or torchvision's weights",
    )
    parser.add_argument(
        "--add", action="store_true", help="of a vinn: episodes join the index of --out"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
