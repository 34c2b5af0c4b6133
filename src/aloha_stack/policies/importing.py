"""Policies of others into checkpoints of this project: `./aloha models import SOURCE TARGET`."""

from dataclasses import dataclass
from pathlib import Path

from aloha_stack.policies.checkpoint import CONFIG, WEIGHTS, CheckpointError, file_hash, load, save
from aloha_stack.policies.import_eipl import EiplOptions, read_eipl
from aloha_stack.policies.import_lerobot import read_lerobot
from aloha_stack.policies.import_original import HEADS, SIZE, STATISTICS, read_original
from aloha_stack.policies.policy import Policy, PolicyError

CKPT = "policy_best.ckpt"
PTH = ".pth"


@dataclass(frozen=True)
class ImportOptions:
    """What the source does not say."""

    cameras: tuple[str, ...] | None = None  # our names, in the order of training
    robot: str = "aloha"
    task: str = ""
    image_size: tuple[int, int] = SIZE  # of the original code's pictures
    heads: int = HEADS  # of the original code's network
    all_layers: bool = False  # use all decoder layers of the original code's network
    rate_hz: float = 50.0
    arm: str = "right"  # that EIPL's network moves, if it moves one
    autoencoder: Path | None = None  # that EIPL's LSTM goes with
    bgr: bool = False  # whether EIPL's network saw pictures in OpenCV's order of colours


def import_model(source: Path, target: Path, options: ImportOptions) -> Policy:
    """Converts, loads what was written, and returns it. Raises PolicyError; then nothing is left.

    `source` is a folder of LeRobot (config.json, model.safetensors), or of the original ACT code
    (policy_best.ckpt, dataset_stats.pkl), or that code's .ckpt file, or EIPL's .pth file.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise PolicyError(f"{target}: exists already; give a folder that does not, or is empty")
    if not source.exists():
        raise PolicyError(f"{source}: there is no such file or folder")
    is_lerobot = source.is_dir() and (source / CONFIG).is_file()
    file = source / (WEIGHTS if is_lerobot else CKPT) if source.is_dir() else source
    if not is_lerobot and (file.suffix not in (".ckpt", PTH) or not file.is_file()):
        raise PolicyError(
            f"{source}: neither LeRobot's ({CONFIG}, {WEIGHTS}) nor the original code's "
            f"({CKPT}, {STATISTICS}), nor a {PTH} of EIPL"
        )
    if file.suffix == PTH:
        origin = "EIPL (ogata-lab/eipl)"
        checkpoint = read_eipl(file, _eipl_options(file, options))
    elif is_lerobot:
        origin = "LeRobot's ACT"
        checkpoint = read_lerobot(
            source, options.cameras, options.robot, options.task, options.rate_hz
        )
    else:
        origin = "the original ACT code (tonyzhaozh/act)"
        if options.cameras is None:
            raise PolicyError(
                f"{file}: the file does not say which cameras it was trained with: give --cameras, "
                "in the order of training (camera_names in its constants.py)"
            )
        checkpoint = read_original(
            file,
            options.cameras,
            options.robot,
            options.task,
            options.image_size,
            options.heads,
            options.all_layers,
            options.rate_hz,
        )
    card = _card(origin, file.name, file_hash(file), options.task)
    save(target, checkpoint, card)
    try:
        return load(target)
    except CheckpointError:
        for name in (CONFIG, WEIGHTS, "CARD.md"):
            (target / name).unlink(missing_ok=True)
        target.rmdir()
        raise


def _eipl_options(file: Path, options: ImportOptions) -> EiplOptions:
    if options.cameras is None or len(options.cameras) != 1:
        raise PolicyError(f"{file}: give the one camera that it was trained with: --cameras NAME")
    return EiplOptions(
        options.cameras[0],
        options.robot,
        options.task,
        options.rate_hz,
        options.arm,
        options.autoencoder,
        options.bgr,
    )


def _card(origin: str, file: str, sha256: str, task: str) -> str:
    return (
        f"# {task or 'An imported policy'}\n\n"
        f"Imported from {origin}, file {file}, SHA-256 {sha256}. Weights and statistics are its "
        "own; data, training and success are those that its source tells. How chunks are executed "
        "(whole, ensembled) is not part of a checkpoint here.\n"
    )
