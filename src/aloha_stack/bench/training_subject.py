"""A training that `./aloha bench training` measures: the recipe, the episodes, the loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from aloha_stack.bench.footage import footage
from aloha_stack.bench.synthetic_episode import synthetic_episode
from aloha_stack.robot.joints import CAMERAS
from aloha_stack.training.act import ActObjective
from aloha_stack.training.augmentation import Augmentation
from aloha_stack.training.data import open_data
from aloha_stack.training.dataset import Sample
from aloha_stack.training.loop import Parts, Trainer
from aloha_stack.training.recipes import load_recipe
from aloha_stack.training.run_folder import RunFolder, Saved

RECIPE = "act_paper"
EPISODES, EPISODE_S, PICTURES = 3, 6.0, 40
WORKERS = 2
"""As many processes decode pictures as in `./aloha train` where nothing is cached."""

BATCHES = 3
"""Different ones that the peer learns from; ours come from the loader."""


@dataclass(frozen=True)
class Size:
    """Of what is learnt: pictures (height, width), samples a step, layers of the decoder."""

    cameras: int = 1
    picture: tuple[int, int] = (480, 640)
    batch: int = 8
    decoder_layers: int = 1
    changes: Sequence[str] = ()  # of the recipe, besides

    def __str__(self) -> str:
        height, width = self.picture
        many = "s" if self.cameras > 1 else ""
        return f"{self.cameras} camera{many} {height}×{width}, batch {self.batch}"


class Unsaved(RunFolder):
    """The bench's training is not gone on with."""

    def save_last(self, saved: Saved) -> None:
        """Writes nothing."""


class Subject:
    """Our training, ready for its first step, and batches of the same pictures for a peer."""

    def __init__(self, size: Size, folder: Path, seed: int = 0) -> None:
        """`folder` takes the episodes."""
        cameras = ", ".join(CAMERAS[: size.cameras])
        recipe = load_recipe(
            RECIPE,
            (
                f"data.cameras=[{cameras}]",
                f"data.image_size={list(size.picture)}",
                "data.validation=0",
                f"network.decoder_layers={size.decoder_layers}",
                f"training.batch={size.batch}",
                "training.precision=bf16",
                "training.save_minutes=100000",
                "training.steps=1000000",
                "training.validate_every=1000000",
                *size.changes,
            ),
        )
        episodes = _episodes(folder / "episodes", size)
        data = open_data(episodes, recipe.data, None, lambda *_: None)
        torch.manual_seed(seed)
        self.objective = ActObjective(recipe, data.train, data.statistics)
        parts = Parts(
            objective=self.objective,
            recipe=recipe.training,
            train=data.train,
            validation=None,
            augmentation=Augmentation(recipe.augmentation, data.statistics["state"], seed),
            folder=Unsaved(folder / "run"),
            card=lambda *_: "",
            seed=seed,
            workers=WORKERS,
        )
        self.trainer = Trainer(parts)
        dataset = self.objective.dataset(data.train)
        chosen = torch.arange(BATCHES * size.batch) * (len(dataset) // (BATCHES * size.batch))
        self.batches: list[Sample] = [dataset[group.tolist()] for group in chosen.split(size.batch)]
        self.parameters = sum(one.numel() for one in self.objective.module.parameters())

    def loss(self) -> float:
        """The mean absolute error of the first batch by the present weights, z = 0
        (padding counts as 0)."""
        module = self.objective.module.eval()
        with torch.no_grad():
            term = self.objective.validate(module, self.batches[0])["l1"]
        return float(term.mean * term.count) / self.batches[0]["is_pad"].numel()


def _episodes(folder: Path, size: Size) -> list[Path]:
    height, width = size.picture
    files = sorted(footage(folder.parent, PICTURES, width, height).iterdir())
    pictures = [file.read_bytes() for file in files]
    return [
        synthetic_episode(folder, pictures[number:] + pictures[:number], EPISODE_S)
        for number in range(EPISODES)
    ]
