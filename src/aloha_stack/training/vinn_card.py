"""CARD.md of a VINN: what it remembers, with which eyes, and how its numbers were chosen."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from aloha_stack.policies.vinn import VinnPolicy
from aloha_stack.training.card import machine
from aloha_stack.training.data import TrainingData
from aloha_stack.training.reports import clock
from aloha_stack.training.vinn_choice import USUAL, Trial

if TYPE_CHECKING:
    from aloha_stack.training.vinn import Making

_ROWS = 12


def card(
    making: "Making", policy: VinnPolicy, data: TrainingData, tried: Sequence[Trial], took_s: float
) -> str:
    """Markdown."""
    spec, config, index = policy.spec, policy.config, policy.index
    size = "" if spec.image_size is None else f", {spec.image_size[1]}x{spec.image_size[0]}"
    validation = 0 if data.validation is None else len(data.validation.episodes)
    every = f", followed for {config.every}" if config.every > 1 else ""
    usual = "not measured" if config.usual is None else f"{config.usual:.3g}"
    return "\n".join(
        [
            f"# vinn for {spec.task or 'a task without a name'}",
            "",
            f"Robot {spec.robot}; sees {', '.join(spec.cameras) or 'no camera'}{size}; "
            f"{len(index):,} steps of {len(index.sources)} episodes, embeddings of "
            f"{index.embeddings.shape[1]} numbers; chunks of {spec.chunk} ticks at "
            f"{spec.rate_hz:g} Hz{every}.",
            "",
            "| | |",
            "|---|---|",
            f"| command | `{making.command}` |",
            f"| recipe | {making.recipe_name}, seed {making.seed} |",
            f"| features | {config.features} |",
            f"| data | {len(data.train.episodes)} episodes to learn from, {validation} to choose "
            "with |",
            f"| data's SHA-256 | `{data.digest}` |",
            f"| neighbours | {config.neighbours}"
            f"{', of different episodes' if config.apart else ''} |",
            f"| joint weight | {config.joint_weight:g} |",
            f"| temperature | {config.temperature:g} |",
            f"| usual distance | {USUAL:g} % of validation steps are within {usual} |",
            f"| wall time | {clock(took_s)} |",
            f"| machine | {machine()} |",
            "",
            *_table(tried),
            "The recipe in full:",
            "",
            "```yaml",
            yaml.safe_dump(_plain(making.recipe.as_dict()), sort_keys=False).rstrip(),
            "```",
            "",
        ]
    )


def added(file: Path, names: Sequence[str], steps: int) -> str:
    """The card with a line more: which episodes joined the index later."""
    before = file.read_text(encoding="utf-8").rstrip() if file.is_file() else "# vinn"
    return f"{before}\n\nJoined later: {', '.join(names)} ({steps:,} steps).\n"


def _table(tried: Sequence[Trial]) -> list[str]:
    if not tried:
        return ["Nothing was chosen: there were no episodes to validate with.", ""]
    return [
        f"Mean absolute error of chunks on validation episodes, in standard deviations of each "
        f"joint; the best {min(_ROWS, len(tried))} of {len(tried)}:",
        "",
        "| neighbours | joint weight | temperature | error |",
        "|---|---|---|---|",
        *(
            f"| {one.neighbours} | {one.joint_weight:g} | {one.temperature:g} | {one.error:.4f} |"
            for one in tried[:_ROWS]
        ),
        "",
    ]


def _plain(value: object) -> object:
    """Lists for tuples, as YAML has them."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
