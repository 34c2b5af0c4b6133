"""Learning a stable flow: from episodes to a certified policy; networks side by side as alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aloha_stack.policies.checkpoint import load
from aloha_stack.policies.policy import Observation
from aloha_stack.policies.stable_dynamics import StableDynamics
from aloha_stack.training.errors import TrainingError
from aloha_stack.training.side_by_side import Flow, Pace, SideBySide
from aloha_stack.training.snds_loss import VELOCITY_ONLY, Alignment, terms, weighted
from aloha_stack.training.tracks import TrackError, Windows, trimmed
from aloha_stack.training.training import Request
from training.tiny_training import resumed, stopping_after, train
from training.training_episodes import write

TINY = (
    "network.hidden=[8]",
    "network.lyapunov_hidden=[4]",
    "network.arms=[right]",
    "network.alpha=4",
    "loss.horizon=2",
    "loss.ends=2",
    "data.validation=0.34",
    "training.batch=8",
    "training.steps=4",
    "training.validate_every=2",
    "training.validation_samples=8",
    "training.warmup=1",
)


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    for number in range(3):
        write(folder, 1.2, cameras=(), number=number)
    return folder


def request(data: Path, out: Path, *changes: str) -> Request:
    return Request("snds", (data,), out, changes=(*TINY, *changes), workers=0)


@pytest.mark.parametrize("space", ["joints", "pose"])
def test_a_training_ends_with_a_policy_that_has_its_certificate(
    episodes: Path, tmp_path: Path, space: str
) -> None:
    out = tmp_path / "out"
    train(request(episodes, out, f"network.space={space}"))
    policy = load(out)
    chunk = policy.act(Observation(np.zeros(14, np.float32), {}))
    assert chunk.shape == (policy.spec.chunk, 14)
    assert policy.spec.cameras == ()


def test_one_that_was_stopped_goes_on_to_the_same_weights(episodes: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(request(episodes, whole))
    train(request(episodes, parts), stop=stopping_after(2))
    assert not (parts / "certificate.json").exists()
    train(replace(resumed(parts), policy="snds"))
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()


def test_episodes_that_do_not_end_at_the_goal_are_refused_by_name(
    episodes: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"do not end at the goal.*episode_00000\d"):
        train(request(episodes, tmp_path / "out", "loss.ends=0.001"))


def windows(seed: int = 0, count: int = 8) -> Tensor:
    """Of curves into the goal (count, 6, 2)."""
    angle = torch.rand(count, 1, generator=torch.Generator().manual_seed(seed)) * 6
    time = torch.linspace(0, 1, 6)
    size = (1 - time).square() * (1 + angle)
    return torch.stack([size * torch.cos(angle + time), size * torch.sin(angle + time)], -1)


def test_a_flow_that_moves_as_demonstrated_has_no_loss() -> None:
    speed = torch.tensor([0.3, -0.2])
    window = torch.arange(6)[None, :, None] * 0.1 * speed + torch.randn(5, 1, 2)
    found = terms(lambda x: speed.expand_as(x), window, 0.1, Alignment(horizon=4))
    assert set(found) == {"velocity", "rollout", "srvf"}
    assert all(float(value) < 1e-10 for value in found.values())


def test_a_rollouts_error_counts_as_a_velocity() -> None:
    window = torch.zeros(3, 6, 2)
    found = terms(lambda x: torch.ones_like(x), window, 0.25, Alignment(srvf=0, horizon=4))
    assert float(found["velocity"]) == pytest.approx(2.0)
    assert float(found["rollout"]) == pytest.approx(2.0)


def test_velocities_alone_are_an_option() -> None:
    assert set(terms(lambda x: x, windows(), 0.1, VELOCITY_ONLY)) == {"velocity"}


def _loss(flow: Flow, window: Tensor) -> Tensor:
    return weighted(terms(flow, window, 0.2, Alignment(horizon=2)), Alignment(horizon=2))


def networks(seeds: list[int]) -> list[StableDynamics]:
    made = []
    for seed in seeds:
        torch.manual_seed(seed)
        made.append(StableDynamics(2, (8,), (4,)).double())
    return made


def test_networks_side_by_side_learn_what_each_learns_alone_and_go_on() -> None:
    pace = Pace(steps=6, warmup=1)
    both = SideBySide(networks([0, 1]), _loss, pace)
    batches = torch.stack([windows(3), windows(4)]).double()
    losses = [both.step(batches) for _ in range(3)]
    kept = both.state()
    again = SideBySide(networks([5, 6]), _loss, pace)
    again.resume(kept)
    alone = SideBySide(networks([1]), _loss, pace)
    for _ in range(3):
        both.step(batches)
        again.step(batches)
    for _ in range(6):
        last = alone.step(batches[1:])
    assert float(last) < float(losses[0][1])
    for name, weight in both.weights.items():
        assert torch.equal(weight, again.weights[name])
        assert torch.allclose(weight[1], alone.weights[name][0], atol=1e-9)


def test_windows_stay_at_the_end_of_their_own_track() -> None:
    tracks = [np.arange(10.0).reshape(5, 2), -np.ones((3, 2))]
    found = Windows(tracks, 4, 2)
    assert len(found) == 8
    assert found[[2]].tolist() == [[[4, 5], [8, 9], [8, 9], [8, 9]]]
    assert found[[7]].tolist() == [[[-1, -1]] * 4]
    assert found.track_of.tolist() == [0] * 5 + [1] * 3


@settings(max_examples=25)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(4, 30))
def test_standing_still_before_and_after_is_left_out(before: int, after: int, count: int) -> None:
    way = np.linspace(1, 0, count)[:, None] * np.ones(3)
    track = np.concatenate([way[:1].repeat(before, 0), way, way[-1:].repeat(after, 0)])
    found = trimmed(track)
    assert (found[0] == 1).all()
    assert (found[-1] == 0).all()
    assert len(found) <= count + 1


def test_a_demonstration_that_never_moves_is_refused() -> None:
    with pytest.raises(TrackError, match="never moves"):
        trimmed(np.ones((9, 2)))
    with pytest.raises(TrackError, match="none"):
        Windows([np.array([[0.0, np.nan], [1.0, 1.0]])], 2)
