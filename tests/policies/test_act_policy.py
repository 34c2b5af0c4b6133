"""ACT as a policy: what every policy holds, in all its shapes, and what only ACT does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aloha_stack.policies.act_policy import ActPolicy
from aloha_stack.policies.normalisation import Normaliser
from aloha_stack.policies.options import EAGER, FAST
from aloha_stack.policies.policy import NAMES, ChunkError, ObservationError, Policy, PolicyError
from policies import small_act
from policies.policy_conformance import PolicyConformance, seen


class ActConformance(PolicyConformance):
    def reloaded(self, policy: Policy, folder: Path) -> Policy:
        assert isinstance(policy, ActPolicy)
        return small_act.reloaded(policy, folder)


class TestLightAct(ActConformance):
    def policy(self) -> Policy:
        return small_act.policy()


class TestPreNormCroppedAct(ActConformance):
    """As the shipped ones: norm first, a crop, an embedding for each camera."""

    def policy(self) -> Policy:
        return small_act.policy(
            replace(
                small_act.CONFIG,
                pre_norm=True,
                activation="gelu",
                camera_embedding=True,
                crop=(4, 8, 24, 32),
            )
        )


def test_a_resnet_policy_saved_and_loaded_gives_the_same_actions(tmp_path: Path) -> None:
    policy = small_act.policy(replace(small_act.CONFIG, backbone="resnet18", cvae=False))
    chunk = policy.act(seen(policy))
    assert np.array_equal(small_act.reloaded(policy, tmp_path).act(seen(policy)), chunk)


def test_a_policy_of_any_size_takes_pictures_of_any_size() -> None:
    policy = small_act.policy(spec=replace(small_act.SPEC, image_size=None))
    for size in ((32, 48), (40, 24)):
        images = {camera: np.zeros((*size, 3), np.uint8) for camera in policy.spec.cameras}
        assert policy.act(replace(seen(policy), images=images)).shape == (5, 14)


def test_actions_are_in_the_units_of_the_statistics() -> None:
    """A network that says 0 gives the mean; one that says 1, the mean and one spread."""
    policy = small_act.policy()
    for said in (0.0, 1.0):
        torch.nn.init.zeros_(policy.network.action_head.weight)
        torch.nn.init.constant_(policy.network.action_head.bias, said)
        chunk = policy.act(seen(policy))
        expected = np.add(
            small_act.STATISTICS["mean"], np.multiply(said, small_act.STATISTICS["std"])
        )
        np.testing.assert_allclose(chunk, np.tile(expected, (5, 1)), atol=1e-6)


@pytest.mark.parametrize("said", [torch.nan, torch.inf, 1e37, -40.0])
def test_a_network_that_gives_no_numbers_or_absurd_ones_is_an_error_that_names_the_joints(
    said: float,
) -> None:
    policy = small_act.policy()
    with torch.no_grad():
        policy.network.action_head.bias[3] = said
    with pytest.raises(ChunkError, match="left_forearm_roll, first at row 0"):
        policy.act(seen(policy))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chunk": 6}, "chunk 5, spec 6"),
        ({"cameras": ("cam_high",)}, "cameras 2, spec 1"),
        ({"state_names": NAMES[:7]}, "state_dim 14, spec 7"),
    ],
)
def test_a_network_of_another_spec_is_refused(change: dict[str, object], message: str) -> None:
    spec = replace(small_act.SPEC, **change)  # type: ignore[arg-type]
    normalisers = [Normaliser.of(small_act.STATISTICS, NAMES) for _ in range(2)]
    with pytest.raises(PolicyError, match=message):
        ActPolicy(spec, small_act.network(), *normalisers)


def test_a_crop_outside_the_pictures_is_refused() -> None:
    with pytest.raises(PolicyError, match="lies outside"):
        small_act.policy(replace(small_act.CONFIG, crop=(0, 0, 33, 10)))


@pytest.mark.parametrize("backend", [EAGER, FAST])
def test_only_what_lies_within_the_crop_of_a_camera_is_seen(backend: str, tmp_path: Path) -> None:
    config = replace(small_act.CONFIG, crop=((4, 8, 24, 32), (0, 16, 12, 32)), seen=(12, 16))
    policy = small_act.reloaded(small_act.policy(config), tmp_path, backend)
    whole = seen(policy)
    chunk = policy.act(whole)
    for camera, rows, columns in (("cam_high", (4, 28), (8, 40)), ("cam_low", (0, 12), (16, 48))):
        inside = slice(*rows), slice(*columns)
        image = np.zeros_like(whole.images[camera])
        image[inside] = whole.images[camera][inside]
        around = {**whole.images, camera: image}
        np.testing.assert_array_equal(policy.act(replace(whole, images=around)), chunk)
        image[inside] = 0
        assert not np.array_equal(policy.act(replace(whole, images=around)), chunk)


def test_cameras_of_different_sizes_are_refused_where_any_size_would_do() -> None:
    policy = small_act.policy(spec=replace(small_act.SPEC, image_size=None))
    one = seen(policy)
    other = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(ObservationError, match="of one size"):
        policy.act(replace(one, images={**one.images, "cam_low": other}))
