"""The same network in training as lerobot's ACT, in a process of a Python that has it."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from aloha_stack.bench import training_lerobot
from aloha_stack.bench.foreign import ForeignProgram
from aloha_stack.bench.inference_peer import lerobot_config, lerobot_weights
from aloha_stack.training.act import ActObjective
from aloha_stack.training.dataset import Sample


class LeRobotTraining(ForeignProgram):
    """Begins with the weights of `objective`, and learns from `batches`, again and again.

    `loss`: the mean absolute error of the first batch before any step (padding counts as 0).
    """

    def __init__(
        self,
        python: Path,
        folder: Path,
        objective: ActObjective,
        batches: Sequence[Sample],
        threads: int,
    ) -> None:
        """`folder` takes what it reads. Raises ForeignError; PolicyError for a network that
        lerobot's ACT cannot be."""
        config = objective.config
        (folder / "config.json").write_text(json.dumps(lerobot_config(config)))
        weights = lerobot_weights(objective.module.state_dict(), config)
        save_file(weights, folder / "model.safetensors")
        colours = {"mean": config.image_mean, "std": config.image_std}
        tensors = {
            "pictures": torch.stack([batch["images"] for batch in batches]),
            "state": torch.stack([objective.state(batch["state"]) for batch in batches]),
            "action": torch.stack([objective.action(batch["action"]) for batch in batches]),
            "is_pad": torch.stack([batch["is_pad"] for batch in batches]),
            **{
                name: torch.tensor(rows).expand(config.cameras, 3).contiguous()
                for name, rows in colours.items()
            },
        }
        save_file(tensors, folder / "batches.safetensors")
        super().__init__(python, training_lerobot.__file__, folder, threads)
        self.loss = float(self.ask("loss"))

    def seconds(self, number: int) -> float:
        """That a step from a batch took."""
        return float(self.ask(str(number)))
