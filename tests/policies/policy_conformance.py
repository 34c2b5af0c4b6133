"""What every policy has to hold. A test class inherits it and says how to make a policy.

class TestMine(PolicyConformance):
    def policy(self) -> Policy: ...
    def reloaded(self, policy: Policy, folder: Path) -> Policy: ...
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aloha_stack.policies.policy import Observation, ObservationError, Policy, check_chunk


class PolicyConformance:
    """Inherited by a test class of each policy."""

    def policy(self) -> Policy:
        """A small one, not trained, with at least one camera."""
        raise NotImplementedError

    def reloaded(self, policy: Policy, folder: Path) -> Policy:
        """Saved to `folder` and loaded again."""
        raise NotImplementedError

    def test_a_chunk_has_the_shape_that_the_spec_says(self) -> None:
        policy = self.policy()
        chunk = policy.act(seen(policy))
        assert chunk.dtype == np.float32
        assert chunk.shape == (policy.spec.chunk, len(policy.spec.action_names))
        check_chunk(policy.spec, chunk)

    def test_after_a_reset_the_same_observations_give_the_same_actions(self) -> None:
        policy = self.policy()
        first = self.run(policy)
        self.run(policy)
        assert np.array_equal(self.run(policy), first)

    def test_a_policy_without_state_forgets_what_it_saw(self) -> None:
        policy = self.policy()
        if policy.spec.stateful:
            return
        policy.reset()
        fresh = policy.act(seen(policy, 1))
        policy.act(seen(policy, 2))
        assert np.array_equal(policy.act(seen(policy, 1)), fresh)

    def test_joints_and_every_camera_matter(self) -> None:
        policy = self.policy()
        one, other = seen(policy, 1), seen(policy, 2)
        fresh = self.first(policy, one)
        assert not np.array_equal(self.first(policy, replace(one, state=other.state)), fresh)
        for camera in policy.spec.cameras:
            images = {**one.images, camera: other.images[camera]}
            assert not np.array_equal(self.first(policy, replace(one, images=images)), fresh)

    def test_the_order_in_which_cameras_are_handed_over_does_not_matter(self) -> None:
        policy = self.policy()
        one = seen(policy, 1)
        turned = replace(one, images=dict(reversed(one.images.items())))
        assert np.array_equal(self.first(policy, turned), self.first(policy, one))

    def test_an_observation_is_not_changed_and_a_chunk_is_not_taken_back(self) -> None:
        policy = self.policy()
        one = seen(policy, 1)
        kept = {name: image.copy() for name, image in one.images.items()}
        state = one.state.copy()
        chunk = policy.act(one)
        before = chunk.copy()
        policy.act(seen(policy, 2))
        assert np.array_equal(chunk, before)
        assert np.array_equal(one.state, state)
        assert all(np.array_equal(one.images[name], image) for name, image in kept.items())

    def test_pictures_that_are_read_only_or_views_are_seen_alike(self) -> None:
        policy = self.policy()
        one = seen(policy, 1)
        plain = self.first(policy, one)
        views = {}
        for name, image in one.images.items():
            wide = np.zeros((image.shape[0], image.shape[1] + 5, 3), np.uint8)
            wide[:, 5:] = image
            wide.flags.writeable = False
            views[name] = wide[:, 5:]
        assert np.array_equal(self.first(policy, replace(one, images=views)), plain)

    @pytest.mark.parametrize("what", ["missing", "extra"])
    def test_other_cameras_are_refused_by_name(self, what: str) -> None:
        policy = self.policy()
        one = seen(policy)
        images = dict(one.images)
        name = policy.spec.cameras[0]
        if what == "missing":
            del images[name]
        else:
            name = "cam_elsewhere"
            images[name] = next(iter(images.values()))
        with pytest.raises(ObservationError, match=name):
            policy.act(replace(one, images=images))

    @pytest.mark.parametrize("what", ["size", "type", "grey", "turned"])
    def test_other_pictures_are_refused_by_the_cameras_name(self, what: str) -> None:
        policy = self.policy()
        one = seen(policy)
        camera = policy.spec.cameras[-1]
        image = one.images[camera]
        other = {
            "size": image[:-1],
            "type": image.astype(np.float32),
            "grey": image[..., 0],
            "turned": image.transpose(2, 0, 1),
        }[what]
        with pytest.raises(ObservationError, match=camera):
            policy.act(replace(one, images={**one.images, camera: other}))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_a_joint_that_is_no_number_is_refused_by_name(self, value: float) -> None:
        policy = self.policy()
        one = seen(policy)
        state = one.state.copy()
        state[-1] = value
        with pytest.raises(ObservationError, match=policy.spec.state_names[-1]):
            policy.act(replace(one, state=state))

    def test_a_state_of_another_length_is_refused(self) -> None:
        policy = self.policy()
        one = seen(policy)
        with pytest.raises(ObservationError, match="state: expected"):
            policy.act(replace(one, state=one.state[:-1]))

    def test_saved_and_loaded_it_gives_the_same_actions_bit_for_bit(self, tmp_path: Path) -> None:
        policy = self.policy()
        again = self.reloaded(policy, tmp_path / "model")
        assert again.spec == policy.spec
        assert np.array_equal(self.run(again), self.run(policy))

    def run(self, policy: Policy) -> np.ndarray:
        """Three chunks of a new episode."""
        policy.reset()
        return np.stack([policy.act(seen(policy, seed)) for seed in range(3)])

    def first(self, policy: Policy, observation: Observation) -> np.ndarray:
        """The chunk at the start of an episode."""
        policy.reset()
        return policy.act(observation)


def seen(policy: Policy, seed: int = 0) -> Observation:
    """An observation of noise that fits the policy."""
    spec = policy.spec
    noise = np.random.default_rng(seed)
    height, width = spec.image_size or (48, 64)
    return Observation(
        state=noise.normal(size=len(spec.state_names)).astype(np.float32),
        images={
            camera: noise.integers(0, 256, (height, width, 3), np.uint8) for camera in spec.cameras
        },
        stamp_ns=seed * 20_000_000,
    )
