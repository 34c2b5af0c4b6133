"""CARD.md: what a policy was trained from, how, how long, on what, and with which losses."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from aloha_stack.episodes.commanders import in_words
from aloha_stack.policies.policy import PolicySpec
from aloha_stack.training.data import TrainingData
from aloha_stack.training.place import Place, Validation
from aloha_stack.training.recipes import Recipe
from aloha_stack.training.reports import clock

_ROWS = 12
"""Of the table of losses."""


@dataclass(frozen=True)
class CardFacts:
    """What does not change while it is trained."""

    spec: PolicySpec
    losses_are: str
    recipe: Recipe
    recipe_name: str
    data: TrainingData
    command: str
    seed: int
    machine: str
    parameters: Mapping[str, int]
    items: int
    """Samples that all of the data gives once: its steps, or whole episodes."""


def card(facts: CardFacts, place: Place, ended: str) -> str:
    """Markdown; `ended` says why the training is over ("": it is not)."""
    spec, data = facts.spec, facts.data
    commanders = " or ".join(facts.recipe.data.commanders)
    size = "any size" if spec.image_size is None else f"{spec.image_size[1]}x{spec.image_size[0]}"
    steps = len(data.train)
    samples = place.step * facts.recipe.training.batch
    validation = 0 if data.validation is None else len(data.validation.episodes)
    left_out = f"; {data.left_out} left out as failures" if data.left_out else ""
    if data.not_commanded:
        left_out += f"; {data.not_commanded} without a step of {commanders}"
    number = sum(facts.parameters.values())
    if place.best is None:
        best = f"the last weights, of step {place.best_step}; there was nothing to validate with"
    else:
        best = f"those of step {place.best_step}, validation {place.best:.4f}"
    averaged = ", averaged" if facts.recipe.training.ema else ""
    return "\n".join(
        [
            f"# {spec.policy} for {spec.task or 'a task without a name'}",
            "",
            f"Robot {spec.robot}; cameras {', '.join(spec.cameras)}, {size}; chunks of "
            f"{spec.chunk} ticks at {spec.rate_hz:g} Hz; {number / 1e6:.2f} million weights.",
            "",
            "## Training",
            "",
            "| | |",
            "|---|---|",
            f"| command | `{facts.command}` |",
            f"| recipe | {facts.recipe_name}, seed {facts.seed} |",
            f"| data | {len(data.train.episodes)} episodes ({steps:,} steps) to learn from, "
            f"{validation} to validate with{left_out} |",
            f"| commanded by | {in_words(data.commanded)} (steps); learnt from: {commanders} |",
            f"| data's SHA-256 | `{data.digest}` |",
            f"| trained | {place.step:,} steps, {samples:,} samples "
            f"({samples / max(facts.items, 1):.1f} times the data) |",
            f"| wall time | {clock(place.elapsed_s)}, reading and validation included |",
            f"| machine | {facts.machine} |",
            f"| ended | {ended or 'still in training'} |",
            f"| weights | {best}{averaged} |",
            "",
            facts.losses_are,
            "",
            "| step | training | validation |",
            "|---|---|---|",
            *(_row(one) for one in _chosen(place.validations)),
            "",
            "The recipe in full:",
            "",
            "```yaml",
            yaml.safe_dump(
                json.loads(json.dumps(facts.recipe.as_dict())), sort_keys=False
            ).rstrip(),
            "```",
            "",
        ]
    )


def machine() -> str:
    """Processor, threads, GPU and torch, in a line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            x.partition(":")[2].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        name = models[0] if models else name
    parts = [f"{name}, {torch.get_num_threads()} threads"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join([*parts, f"torch {torch.__version__}"])


def _row(one: Validation) -> str:
    return f"| {one.step} | {one.train:.4f} | {'-' if one.loss is None else f'{one.loss:.4f}'} |"


def _chosen(rows: list[Validation]) -> list[Validation]:
    """At most _ROWS of them, the last one among them."""
    stride = -(-len(rows) // _ROWS) or 1
    return rows[::-1][::stride][::-1]
