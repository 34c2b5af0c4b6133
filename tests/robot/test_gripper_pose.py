"""Rotations as vectors, and where a gripper is: forward and back, inside the limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_stack.robot.description import load_robot
from aloha_stack.robot.gripper_pose import GripperKinematics, GripperPose
from aloha_stack.robot.rotations import exp, log

angles = st.one_of(
    st.floats(0, np.pi - 1e-6), st.sampled_from([0.0, 1e-12, 1e-8, 1e-4, np.pi - 1e-5])
)
seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def arm() -> GripperKinematics:
    return GripperKinematics(load_robot("twin", {"ALOHA_PORTS": "none"}).arm("follower_left"))


@given(angles, seeds)
def test_a_rotation_and_its_vector_belong_together(angle: float, seed: int) -> None:
    axis = np.random.default_rng(seed).normal(size=3)
    vector = angle * axis / np.linalg.norm(axis)
    rotation = exp(vector)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.allclose(log(rotation), vector, atol=1e-8)
    assert np.allclose(rotation @ axis, axis, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_a_pose_nearby_is_reached_inside_the_limits(arm: GripperKinematics, seed: int) -> None:
    random = np.random.default_rng(seed)
    joints = random.uniform(arm.lower + 0.1, arm.upper - 0.1)
    guess = joints + random.normal(0, 0.03, 6)
    target = arm.forward(joints)
    found = arm.inverse(target, guess, iterations=40)
    assert (arm.lower <= found.joints).all()
    assert (found.joints <= arm.upper).all()
    there = arm.forward(found.joints)
    assert np.linalg.norm(there.position - target.position) == pytest.approx(found.distance_m)
    assert found.distance_m < 2e-3  # some lie where the arm is stretched: it comes close


def test_out_of_reach_it_says_how_far_away_it_ends(arm: GripperKinematics) -> None:
    far = GripperPose(np.array([2.0, 0.0, 0.5]), np.eye(3))
    found = arm.inverse(far, np.zeros(6))
    assert found.distance_m > 1.0
    assert np.isfinite(found.joints).all()
