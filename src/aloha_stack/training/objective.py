"""What a policy brings so that the one loop (loop.py) can train it.

A loss is a sum of *terms*. Each is a mean, and says over how many things: so several processes,
each with its part of a batch, get the very loss (and gradient) that one process would have, and a
validation in batches gets the mean over all of its samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.policy import PolicySpec
from aloha_stack.training.dataset import EpisodeDataset, Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.sequences import SequenceDataset
from aloha_stack.training.store import EpisodeStore
from aloha_stack.training.tracks import TrackDataset

Network = Callable[..., Any]
"""The module, called with weights of the loop's choice: the same in bfloat16, or averaged ones."""


@dataclass(frozen=True)
class Term:
    """A part of a loss: `weight` * `mean`, the mean being over `count` things."""

    mean: Tensor  # () float32
    count: Tensor | float
    weight: float = 1.0


Terms = Mapping[str, Term]


class Objective(Protocol):
    """A network and what is asked of it. Everything random comes from `Draws`."""

    judged_by: str
    """The term of `validate` by which the best checkpoint is chosen; less is better."""
    losses_are: str
    """What the numbers mean, a sentence for the card."""
    kept_clean: tuple[str, ...]
    """Which of "images" and "state" augmentation keeps undisturbed, as "clean_images", …"""

    @property
    def module(self) -> nn.Module:
        """Its parameters are the float32 weights that the optimiser moves."""

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs and gives."""

    def dataset(self, store: EpisodeStore) -> EpisodeDataset | SequenceDataset | TrackDataset:
        """The samples that `loss` takes."""

    def loss(self, network: Network, batch: Sample, draws: Draws) -> Terms:
        """Of a batch on the module's device, in training."""

    def validate(self, network: Network, batch: Sample) -> Terms:
        """Of a batch, as at rollout: nothing random, the module in evaluation mode."""

    def groups(self) -> Mapping[str, Sequence[str]]:
        """Names of the parameters of "main" and, with a rate of its own, "backbone"."""

    def rounded(self, name: str) -> bool:
        """Whether this weight may be computed with in bfloat16, where the recipe asks for that."""

    def checkpoint(self, weights: Mapping[str, Tensor]) -> Checkpoint:
        """What policies/checkpoint.py saves, with these weights."""


@runtime_checkable
class Finishing(Protocol):
    """An objective that has something to do once its policy lies in its folder."""

    def finish(self, folder: Path) -> str:
        """Does it; a line that tells what came out."""
