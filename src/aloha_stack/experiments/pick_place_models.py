"""Policies of an experiment: trained once, each in a folder of its own, and found again.

FOLDER/policy/         the checkpoint, and from what its training goes on
FOLDER/trained.json    how long it was trained; only there once that is over
FOLDER/*.jsonl         trials (pick_place_trials.py)
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aloha_stack.experiments.errors import ExperimentError
from aloha_stack.training import cli
from aloha_stack.training.run_folder import LAST, RUN, RunFolder

POLICY, TRAINED = "policy", "trained.json"


class Interrupted(Exception):
    """A signal asked to stop; what is needed to go on is saved."""

    def __init__(self, status: int) -> None:
        super().__init__(f"stopped with status {status}; the same command goes on")
        self.status = status


@dataclass(frozen=True)
class Model:
    """What a policy is trained as: `changes` are KEY=VALUE of its recipe."""

    name: str  # of its folder
    policy: str
    recipe: str
    changes: tuple[str, ...] = ()
    seed: int = 0

    def folder(self, work: Path) -> Path:
        return work / "models" / self.name

    def checkpoint(self, work: Path) -> Path:
        return self.folder(work) / POLICY

    def training(self, work: Path) -> dict[str, Any] | None:
        """How it was trained: "steps", "seconds", "validation"; None while that is not over."""
        file = self.folder(work) / TRAINED
        return json.loads(file.read_text()) if file.exists() else None

    def train(self, work: Path, data: Path, steps: int) -> None:
        """Trains it, or goes on where its training was interrupted; nothing if it is over.

        Raises ExperimentError, Interrupted.
        """
        if self.training(work) is not None:
            return
        out = self.checkpoint(work)
        words = [self.policy, "--out", str(out)]
        if (out / "run" / RUN).exists():
            words.append("--resume")
        else:
            shutil.rmtree(out, ignore_errors=True)  # it had not begun to learn
            out.parent.mkdir(parents=True, exist_ok=True)
            words += ["--data", str(data), "--recipe", self.recipe, "--seed", str(self.seed)]
            words += ["--set", f"training.steps={steps}"]
            words += [word for change in self.changes for word in ("--set", change)]
        status = cli.main(words)
        if status > 128:
            raise Interrupted(status)
        if status or not (out / "config.json").exists():
            raise ExperimentError(f"{self.name} was not trained; see above")
        self._keep(work)

    def _keep(self, work: Path) -> None:
        out = self.checkpoint(work)
        saved = RunFolder(out).load_last()
        if saved is None:
            raise ExperimentError(f"{out / 'run' / LAST} is missing; remove {out}, and begin again")
        state = saved.state
        found = {
            "steps": state["step"],
            "seconds": state["elapsed_s"],
            "validation": state["best"],
            "weights": sum(
                value.numel()
                for name, value in saved.tensors.items()
                if name.startswith("weights/")
            ),
        }
        write_json(self.folder(work) / TRAINED, found)


def write_json(file: Path, data: Any) -> None:
    """Whole or not at all."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    new.replace(file)
