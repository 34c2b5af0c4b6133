"""The loop knows nothing of ACT: a recurrent network on whole episodes trains as well."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from aloha_stack.policies.checkpoint import Checkpoint
from aloha_stack.policies.policy import PolicySpec
from aloha_stack.training.act import ActObjective
from aloha_stack.training.augmentation import Augmentation
from aloha_stack.training.computing import computed_in, counts, sums, weighted
from aloha_stack.training.dataset import EpisodeDataset, Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.loop import Parts, Trainer
from aloha_stack.training.objective import Network, Term, Terms
from aloha_stack.training.recipes import AugmentationRecipe, TrainingRecipe, load_recipe
from aloha_stack.training.run_folder import RunFolder
from aloha_stack.training.sequences import SequenceDataset
from aloha_stack.training.settings import ReadSettings
from aloha_stack.training.statistics import statistics
from aloha_stack.training.store import EpisodeStore, open_episodes
from training.tiny_training import TINY, one_thread
from training.training_episodes import write


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    folder = tmp_path_factory.mktemp("episodes")
    for number in range(2):
        write(folder, number=number, seconds=1.2 + 0.4 * number, size=(24, 32))
    return open_episodes(folder, ReadSettings())


class NextState(nn.Module):
    """From the joints so far to those of the next step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(14, 24, batch_first=True)
        self.head = nn.Linear(24, 14)

    def forward(self, state: Tensor) -> Tensor:
        return self.head(self.cell(state)[0])


class NextStateObjective:
    judged_by = "error"
    losses_are = "Losses are mean squared errors."
    kept_clean = ()

    def __init__(self, store: EpisodeStore) -> None:
        self.module = NextState()
        self.spec = PolicySpec("act", "twin", store.cameras, store.image_size, 1, "pick")

    def dataset(self, store: EpisodeStore) -> SequenceDataset:
        return SequenceDataset(store)

    def loss(self, network: Network, batch: Sample, draws: Draws) -> Terms:
        valid = ~batch["is_pad"][:, 1:]
        error = (network(batch["state"][:, :-1]) - batch["state"][:, 1:]).square().mean(dim=2)
        return {"error": Term((error * valid).sum() / valid.sum(), valid.sum())}

    def validate(self, network: Network, batch: Sample) -> Terms:
        return self.loss(network, batch, Draws(0, 0))

    def groups(self) -> Mapping[str, Sequence[str]]:
        return {"main": [name for name, _ in self.module.named_parameters()]}

    def rounded(self, name: str) -> bool:
        return False

    def checkpoint(self, weights: Mapping[str, Tensor]) -> Checkpoint:
        return Checkpoint(self.spec, {}, {}, weights)


def test_a_recurrent_network_learns_in_the_same_loop(store: EpisodeStore, tmp_path: Path) -> None:
    recipe = TrainingRecipe(
        steps=40, batch=2, lr=0.01, warmup=0, ema=0.5, precision="fp32", validate_every=20
    )
    folder = RunFolder(tmp_path / "out")
    folder.begin({})
    parts = Parts(
        objective=NextStateObjective(store),
        recipe=dataclasses.replace(recipe, validation_samples=2),
        train=store,
        validation=store,
        augmentation=Augmentation(AugmentationRecipe(), statistics(store)["state"]),
        folder=folder,
        card=lambda place, ended: f"step {place.step}",
    )
    trainer = Trainer(parts)
    with one_thread():
        assert trainer.run() == "complete"
    first, last = trainer.place.validations
    assert last.loss is not None
    assert first.loss is not None
    assert last.loss < 0.5 * first.loss
    assert (folder.path / "model.safetensors").exists()


def test_parts_of_a_batch_add_up_to_its_loss_and_gradient(store: EpisodeStore) -> None:
    """However unequal the padding is that each process has."""
    changes = [f"{key}={value}" for key, value in TINY.items()]
    recipe = load_recipe("act_cpu", [*changes, "network.chunk=40"])
    objective = ActObjective(recipe, store, statistics(store))
    dataset: EpisodeDataset = objective.dataset(store)
    parameters = dict(objective.module.named_parameters())
    network = computed_in(objective.module, parameters, "fp32", objective.rounded)
    indices = [3, 50, 10, 57]  # the second and fourth are near an episode's end

    def losses(rank: int, ranks: int) -> Terms:
        return objective.loss(network, dataset[indices[rank::ranks]], Draws(1, 2, rank, ranks))

    whole = losses(0, 1)
    weighted(whole, counts(whole)).sum().backward()
    expected = {
        name: value.grad.clone() for name, value in parameters.items() if value.grad is not None
    }
    objective.module.zero_grad()
    halves = [losses(rank, 2) for rank in range(2)]
    assert halves[0]["l1"].count > 2 * halves[1]["l1"].count
    totals = counts(halves[0]) + counts(halves[1])
    shares = [weighted(half, totals) for half in halves]
    torch.testing.assert_close(shares[0] + shares[1], weighted(whole, counts(whole)))
    for share in shares:
        share.sum().backward()
    for name, gradient in expected.items():
        torch.testing.assert_close(parameters[name].grad, gradient, rtol=1e-3, atol=1e-5, msg=name)
    torch.testing.assert_close(sums(halves[0]) + sums(halves[1]), sums(whole))
