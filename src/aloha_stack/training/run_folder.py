"""What a training writes, and from what it goes on: everything as safetensors and JSON.

    FOLDER/model.safetensors, config.json, CARD.md   the best policy (policies/checkpoint.py)
    FOLDER/run/run.json                              recipe, data, seed, command
    FOLDER/run/last.safetensors                      weights, averages, optimiser, place: --resume
    FOLDER/run/events.out.tfevents…                  TensorBoard

`run/` is not needed to use the policy.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from aloha_stack.policies import checkpoint
from aloha_stack.training.errors import TrainingError

FORMAT = 1
RUN, LAST = "run.json", "last.safetensors"
SPARE_BYTES = 64 << 20
"""What is left free on the disk."""


@dataclass(frozen=True)
class Saved:
    """All of a training between two steps. Tensors by "PART/name", state for JSON."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


class RunFolder:
    """One training's folder. Each file appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inner = path / "run"

    def check_new(self) -> None:
        """Raises TrainingError where something is already."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise TrainingError(
                f"{self.path} exists already; give another --out, or --resume to go on with it"
            )

    def begin(self, described: Mapping[str, Any]) -> None:
        """Makes the folder and says in it what will be done. Raises TrainingError."""
        self.check_new()
        try:
            self.inner.mkdir(parents=True, exist_ok=True)
            self._write(self.inner / RUN, json.dumps({"format": FORMAT, **described}, indent=1))
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error.strerror}") from error

    def described(self) -> dict[str, Any]:
        """What `begin` was told. Raises TrainingError where there is nothing to go on with."""
        file = self.inner / RUN
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise TrainingError(
                f"{self.path} holds no training to go on with ({file} is missing); leave out "
                "--resume to begin one"
            ) from error
        except (OSError, ValueError) as error:
            raise TrainingError(f"{file} is damaged: {error}") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise TrainingError(f"{file}: expected format {FORMAT} of this version")
        return data

    def save_last(self, saved: Saved) -> None:
        """What `load_last` gives back. Raises TrainingError; the file before it then stays."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in saved.tensors.items()}
        self._need_room(tensors)
        new = self.inner / f".{LAST}.new"
        try:
            save_file(tensors, new, {"state": json.dumps(dict(saved.state), allow_nan=False)})
            _replace(new, self.inner / LAST)
        except (OSError, SafetensorError) as error:
            new.unlink(missing_ok=True)
            raise self._not_written(self.inner / LAST, error) from error

    def load_last(self) -> Saved | None:
        """What was saved last; None if nothing was. Raises TrainingError for a damaged file."""
        file = self.inner / LAST
        if not file.exists():
            return None
        try:
            with safe_open(file, "pt") as opened:
                state = json.loads((opened.metadata() or {})["state"])
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise TrainingError(f"{file} is truncated or damaged: {error}") from error
        return Saved(tensors, state)

    def save_best(self, best: checkpoint.Checkpoint, card: str) -> None:
        """The policy as it is used. Raises TrainingError; the one before it then stays."""
        self._need_room(best.weights)
        try:
            checkpoint.save(self.path, best, card)
        except (OSError, SafetensorError) as error:
            for left in self.path.glob(".*.new"):
                left.unlink()
            raise self._not_written(self.path / checkpoint.WEIGHTS, error) from error

    def has_best(self) -> bool:
        """Whether a policy was saved."""
        return (self.path / checkpoint.CONFIG).exists()

    def write_card(self, card: str) -> None:
        """Only the card anew. Raises TrainingError."""
        try:
            self._write(self.path / checkpoint.CARD, card)
        except OSError as error:
            raise self._not_written(self.path / checkpoint.CARD, error) from error

    def _need_room(self, tensors: Mapping[str, Tensor]) -> None:
        needed = sum(value.numel() * value.element_size() for value in tensors.values())
        free = shutil.disk_usage(self.path).free
        if needed + SPARE_BYTES > free:
            raise TrainingError(
                f"the disk of {self.path} is full: {needed / 1e6:.0f} MB are needed, "
                f"{free / 1e6:.0f} MB are free; {self._kept()}"
            )

    def _not_written(self, file: Path, error: Exception) -> TrainingError:
        return TrainingError(f"{file} cannot be written ({error}); {self._kept()}")

    def _kept(self) -> str:
        kept = "what was saved before is whole: " if (self.inner / LAST).exists() else ""
        return f"{kept}make room, then go on with --resume"

    @staticmethod
    def _write(file: Path, text: str) -> None:
        new = file.with_name(f".{file.name}.new")
        new.write_text(text, encoding="utf-8")
        _replace(new, file)


def _replace(new: Path, file: Path) -> None:
    """Puts a written file in place; on the disk before its name is."""
    with new.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(new, file)
