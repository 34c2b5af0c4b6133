"""`./aloha models list | show | import`: trained policies, and those of others.

Exit status 0 when all is well, 1 when a checkpoint cannot be used, 2 for a wrong request.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from aloha_stack.policies.policy import PolicyError
from aloha_stack.robot.joints import SIDES
from aloha_stack.robot.share import share_folder

EXAMPLES = """examples:
  ./aloha models list
  ./aloha models show models/act_transfer_cube
  ./aloha models import pretrained_model models/from_lerobot --task transfer_cube
  ./aloha models import ckpt_dir/policy_best.ckpt models/from_act --cameras cam_high
  ./aloha models import log/run/SARNN.pth models/from_eipl --cameras cam_high --rate 10 --arm right
"""
TROUBLE = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(argv)
    commands = {"list": _list, "show": _show, "import": _import}
    try:
        return commands[options.command](options)
    except PolicyError as error:
        print(f"aloha models: {error}", file=sys.stderr)
        return TROUBLE


def _list(options: argparse.Namespace) -> int:
    from aloha_stack.policies.checkpoint import CONFIG, WEIGHTS, CheckpointError, read_config

    root = options.folder or share_folder() / "models"
    folders = sorted(file.parent for file in root.glob(f"*/{CONFIG}")) if root.is_dir() else []
    if not folders:
        print(f"no checkpoint below {root}")
        return 0
    rows = [("model", "policy", "task", "robot", "cameras", "picture", "chunk", "MB")]
    damaged = []
    for folder in folders:
        try:
            spec = read_config(folder)["spec"]
            megabytes = (folder / WEIGHTS).stat().st_size / 1e6
        except (CheckpointError, OSError) as error:
            damaged.append(str(error))
            continue
        cameras = ", ".join(spec.cameras)
        size = _size(spec.image_size)
        task, chunk = spec.task or "-", str(spec.chunk)
        rows.append(
            (folder.name, spec.policy, task, spec.robot, cameras, size, chunk, f"{megabytes:.1f}")
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())
    for text in damaged:
        print(f"aloha models: {text}", file=sys.stderr)
    return TROUBLE if damaged else 0


def _show(options: argparse.Namespace) -> int:
    from aloha_stack.policies.checkpoint import CARD, read

    checkpoint = read(options.model)
    spec = checkpoint.spec
    print(f"policy   {spec.policy}, for robot {spec.robot}, task {spec.task or '-'}")
    print(f"sees     {', '.join(spec.cameras) or 'no camera'}, {_size(spec.image_size)}")
    print(f"gives    {spec.chunk} ticks at {spec.rate_hz:g} Hz ({spec.chunk * spec.dt_s:g} s)")
    numbers: dict[str, int] = {}
    for name, value in checkpoint.weights.items():
        part = name.split(".")[0]
        numbers[part] = numbers.get(part, 0) + value.numel()
    print(f"weights  {sum(numbers.values()) / 1e6:.2f} million numbers")
    for part, count in numbers.items():
        print(f"         {part:<18} {count:>11,}")
    print("network  " + ", ".join(f"{key} {value}" for key, value in checkpoint.config.items()))
    card = Path(options.model) / CARD
    if card.is_file():
        print(f"\n{card.read_text(encoding='utf-8').rstrip()}")
    return 0


def _import(options: argparse.Namespace) -> int:
    from aloha_stack.policies.importing import ImportOptions, import_model

    policy = import_model(
        options.source,
        options.target,
        ImportOptions(
            cameras=options.cameras,
            robot=options.robot,
            task=options.task,
            image_size=options.size,
            heads=options.heads,
            all_layers=options.all_layers,
            rate_hz=options.rate,
            arm=options.arm,
            autoencoder=options.autoencoder,
            bgr=options.bgr,
        ),
    )
    spec = policy.spec
    print(
        f"{options.target}: {spec.policy}, {', '.join(spec.cameras)}, {_size(spec.image_size)}, "
        f"{spec.chunk} ticks at {spec.rate_hz:g} Hz"
    )
    return 0


def _size(size: tuple[int, int] | None) -> str:
    return "any size" if size is None else f"{size[1]}x{size[0]}"


def _picture_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT to (height, width)."""
    width, mark, height = text.partition("x")
    if not mark or not width.isdecimal() or not height.isdecimal() or "0" in (width, height):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; expected WIDTHxHEIGHT, as 640x480")
    return int(height), int(width)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"'{text}': expected different names, with commas between")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./aloha models",
        description=(__doc__ or "").split("\n\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, does: str) -> argparse.ArgumentParser:
        lines = [line for line in EXAMPLES.splitlines() if f" models {name}" in line]
        return commands.add_parser(
            name,
            help=does,
            description=does,
            epilog="\n".join(["examples:", *lines]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    listing = add("list", "the checkpoints of a folder")
    listing.add_argument("folder", nargs="?", type=Path, help="default: models/")
    show = add("show", "one checkpoint: what it sees and gives, and its card")
    show.add_argument("model", type=Path, help="its folder")
    importing = add("import", "convert a policy of LeRobot (ACT), the original ACT code, or EIPL")
    importing.add_argument(
        "source", type=Path, help="LeRobot's folder, policy_best.ckpt, or a .pth of EIPL"
    )
    importing.add_argument("target", type=Path, help="the new checkpoint's folder")
    importing.add_argument(
        "--cameras",
        type=_names,
        help="names of its cameras here, in the order of training (a .ckpt does not tell them)",
    )
    importing.add_argument("--robot", default="aloha", help="default: %(default)s")
    importing.add_argument("--task", default="", help="what it was trained for")
    importing.add_argument("--rate", type=_positive, default=50, help="Hz, default: %(default)s")
    importing.add_argument(
        "--size",
        type=_picture_size,
        default=(480, 640),
        help="of the pictures that a .ckpt was trained on, WIDTHxHEIGHT (default: 640x480)",
    )
    importing.add_argument(
        "--heads", type=_positive, default=8, help="of a .ckpt's attention, default: %(default)s"
    )
    importing.add_argument(
        "--all-layers",
        action="store_true",
        help="a .ckpt of a fork that uses all decoder layers (the published code uses the first)",
    )
    importing.add_argument(
        "--arm", choices=SIDES, default="right", help="whose 7 joints a .pth moves (%(default)s)"
    )
    importing.add_argument(
        "--autoencoder", type=Path, metavar="PTH", help="that the LSTM of a .pth goes with"
    )
    importing.add_argument(
        "--bgr", action="store_true", help="a .pth was trained on pictures in OpenCV's BGR"
    )
    return parser
