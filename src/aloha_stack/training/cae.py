"""Convolutional auto-encoders as an objective: a picture through a few numbers and back.

A step before others: its checkpoint starts a CNNRNN, and is the eye of a CAE-RNN. It looks at
single pictures; what is disturbed goes in, what was there before is wanted (augmentation.py), so
that features say what is seen and not in what light. Source: ogata-lab/eipl 1.1.1 (zoo/cae).
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.recurrent import as_input
from aloha_stack.policies.recurrent_networks import CAE, network_of
from aloha_stack.training.dataset import EpisodeDataset, Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.objective import Network, Term, Terms
from aloha_stack.training.recipes import Recipe, RecipeError
from aloha_stack.training.recurrent_parts import network_config, recurrent_spec
from aloha_stack.training.rounding import round_parts
from aloha_stack.training.statistics import Statistics
from aloha_stack.training.store import EpisodeStore


class CaeObjective:
    """An auto-encoder for the pictures of one camera."""

    judged_by = "image"
    losses_are = (
        "Losses are mean squared errors of colours in 0 … 1; those of training are of disturbed "
        "pictures."
    )
    kept_clean: tuple[str, ...] = ("images",)

    def __init__(
        self, recipe: Recipe, store: EpisodeStore, statistics: Mapping[str, Statistics]
    ) -> None:
        """Draws the start weights from torch's generator. Raises RecipeError."""
        if recipe.loss:
            raise RecipeError(f"loss.{next(iter(recipe.loss))}: an auto-encoder's loss has no keys")
        self.config = network_config(recipe, store)
        self.spec = recurrent_spec(CAE, store)
        self._statistics = {name: part.as_dict() for name, part in statistics.items()}
        self.module = network_of(CAE, self.config)
        self._rounded = round_parts(self.module)

    def dataset(self, store: EpisodeStore) -> EpisodeDataset:
        """Single steps."""
        return EpisodeDataset(store, chunk=1)

    def loss(self, network: Network, batch: Sample, draws: Draws) -> Terms:
        """How far the picture that comes out is from what was there."""
        return self.validate(network, batch)

    def validate(self, network: Network, batch: Sample) -> Terms:
        """The same; of undisturbed pictures."""
        seen, there = batch["images"], batch.get("clean_images", batch["images"])
        error = network(as_input(seen[:, 0], self.config)).float() - as_input(
            there[:, 0], self.config
        )
        return {"image": Term(error.square().mean(), len(seen))}

    def groups(self) -> Mapping[str, Sequence[str]]:
        """All alike."""
        return {"main": [name for name, _ in self.module.named_parameters()]}

    def rounded(self, name: str) -> bool:
        """The convolutions."""
        return name in self._rounded

    def checkpoint(self, weights: Mapping[str, Tensor]) -> Checkpoint:
        """For `network.encoder_from`; it moves no robot."""
        return Checkpoint(self.spec, self.config.as_dict(), self._statistics, weights)
