"""The gripper's linkage and units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.robot.gripper import Linkage, finger_from_joint, finger_velocity, joint_from_finger

FOLLOWER = Linkage(0.022, 0.036)
LEADER = Linkage(0.014, 0.024)


@pytest.mark.parametrize(
    ("linkage", "angle_rad", "finger_m"),
    [
        (FOLLOWER, 1.4910, 0.05800),
        (FOLLOWER, -0.6213, 0.01844),
        (FOLLOWER, 1.6214, 0.0579),
        (FOLLOWER, 0.6197, 0.0440),
        (LEADER, 0.3083, 0.02417),
        (LEADER, -0.6842, 0.01244),
        (LEADER, 0.8298, 0.0323),
        (LEADER, -0.0552, 0.0185),
    ],
)
def test_linkage_reproduces_both_published_sets_of_constants(linkage, angle_rad, finger_m):
    assert finger_from_joint(angle_rad, linkage) == pytest.approx(finger_m, abs=2.5e-4)


@given(st.floats(-1.5, 1.5), st.sampled_from([FOLLOWER, LEADER]))
def test_finger_position_and_servo_angle_are_inverse(angle_rad, linkage):
    finger_m = finger_from_joint(angle_rad, linkage)
    assert joint_from_finger(finger_m, linkage) == pytest.approx(angle_rad, abs=1e-6)


@given(st.floats(-1.4, 1.4), st.sampled_from([FOLLOWER, LEADER]))
def test_finger_velocity_is_the_derivative_of_the_position(angle_rad, linkage):
    step = 1e-6
    slope = (
        finger_from_joint(angle_rad + step, linkage) - finger_from_joint(angle_rad - step, linkage)
    ) / (2 * step)
    assert finger_velocity(angle_rad, 2.0, linkage) == pytest.approx(2.0 * slope, abs=1e-6)


def test_unreachable_finger_positions_give_the_nearest_end_of_travel():
    assert joint_from_finger(0.2, FOLLOWER) == pytest.approx(np.pi / 2)
    assert joint_from_finger(0.001, FOLLOWER) == pytest.approx(-np.pi / 2)
