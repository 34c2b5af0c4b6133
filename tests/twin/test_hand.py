"""A leader arm: moved by a hand, by its servos, or by its weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.control.gravity import gravity_torque
from aloha_stack.robot.description import load_robot
from aloha_stack.twin.hand import FRICTION, LeaderArm

ARM = load_robot("twin", {"ALOHA_PORTS": "ports"}).arm("leader_left")
ON, OFF = np.ones(7, dtype=bool), np.zeros(7, dtype=bool)


def test_it_follows_the_hand_while_its_torque_is_off() -> None:
    leader = LeaderArm(ARM)
    hand = (ARM.start_pose, np.full(7, 0.2))
    position, velocity, effort = leader.update(np.zeros(7), OFF, hand, 0.002)
    assert position == pytest.approx(ARM.start_pose)
    assert velocity == pytest.approx(hand[1])
    assert np.all(effort == 0)


def test_it_stays_where_the_hand_left_it() -> None:
    leader = LeaderArm(ARM, ARM.start_pose)
    position, velocity, _ = leader.update(np.zeros(7), OFF, None, 0.002)
    assert position == pytest.approx(ARM.start_pose)
    assert np.all(velocity == 0)


@pytest.mark.parametrize("period_s", [0.002, 0.5])
def test_servos_walk_to_their_goal_and_pull(period_s: float) -> None:
    leader = LeaderArm(ARM, ARM.rest_pose)
    first = leader.update(ARM.start_pose, ON, None, period_s)
    assert np.sign(first[2][1]) == np.sign(ARM.start_pose[1] - ARM.rest_pose[1])
    for _ in range(round(4 / period_s)):
        position, velocity, _ = leader.update(ARM.start_pose, ON, None, period_s)
    assert position == pytest.approx(ARM.start_pose, abs=1e-6)
    assert velocity == pytest.approx(np.zeros(7), abs=1e-6)


@given(st.lists(st.floats(-6, 6), min_size=7, max_size=7), st.floats(1e-4, 1.0))
def test_servos_keep_their_speed_and_the_joints_their_range(
    goal: list[float], period_s: float
) -> None:
    leader = LeaderArm(ARM, ARM.rest_pose)
    before = leader.position.copy()
    position, velocity, _ = leader.update(np.array(goal), ON, None, period_s)
    assert np.all(np.abs(velocity) <= ARM.limits.velocity + 1e-9)
    assert np.all(position >= np.minimum(ARM.limits.lower, before) - 1e-9)
    assert np.all(position <= np.maximum(ARM.limits.upper, before) + 1e-9)


def test_a_hand_cannot_move_a_joint_whose_torque_is_on() -> None:
    leader = LeaderArm(ARM, ARM.start_pose)
    torque = OFF.copy()
    torque[0] = True
    hand = (ARM.start_pose + 0.3, np.zeros(7))
    position, _, _ = leader.update(ARM.start_pose, torque, hand, 0.002)
    assert position[0] == pytest.approx(ARM.start_pose[0])
    assert position[1:] == pytest.approx(ARM.start_pose[1:] + 0.3)


class TestCurrentMode:
    """Joints 0 … 5 of the leader in current mode, no hand near, unless a test says otherwise."""

    PUSHED = np.array([True] * 6 + [False])

    def run(self, leader: LeaderArm, push: np.ndarray, seconds: float) -> np.ndarray:
        for _ in range(round(seconds / 0.004)):
            leader.update(np.zeros(7), OFF, None, 0.004, (push, self.PUSHED))
        return leader.position

    def weight(self, position: np.ndarray) -> np.ndarray:
        return gravity_torque(ARM.chain, position)

    def test_it_falls_under_its_weight_until_it_lies(self) -> None:
        leader = LeaderArm(ARM, ARM.start_pose, self.weight)
        start = leader.position.copy()
        self.run(leader, np.zeros(7), 0.4)
        assert leader.velocity.any()
        self.run(leader, np.zeros(7), 5.0)
        assert np.abs(leader.position - start).max() > 0.5
        assert not leader.velocity.any()
        assert np.all(leader.position >= ARM.limits.lower - 1e-9)
        assert np.all(leader.position <= ARM.limits.upper + 1e-9)

    def test_its_weight_pushed_against_leaves_it_where_it_is(self) -> None:
        leader = LeaderArm(ARM, ARM.start_pose, self.weight)
        self.run(leader, self.weight(leader.position), 2.0)
        assert leader.position == pytest.approx(ARM.start_pose)
        assert leader.effort[:6] == pytest.approx(self.weight(leader.position)[:6])

    def test_friction_forgives_a_little_and_no_more(self) -> None:
        for part, stays in ((0.9, True), (1.1, False)):
            leader = LeaderArm(ARM, ARM.start_pose)
            self.run(leader, part * FRICTION, 0.5)
            assert (leader.position == pytest.approx(ARM.start_pose)) is stays

    def test_a_hand_carries_it_and_leaves_it_falling(self) -> None:
        leader = LeaderArm(ARM, ARM.rest_pose, self.weight)
        leader.update(np.zeros(7), OFF, (ARM.start_pose, np.zeros(7)), 0.004, (ON * 0.0, ON))
        assert leader.position == pytest.approx(ARM.start_pose)
        self.run(leader, np.zeros(7), 0.4)
        assert leader.position[:6] != pytest.approx(ARM.start_pose[:6], abs=0.02)

    def test_joints_that_hold_are_not_pushed(self) -> None:
        leader = LeaderArm(ARM, ARM.start_pose, self.weight)
        for _ in range(100):
            leader.update(ARM.start_pose, ON, None, 0.004, (np.full(7, 3.0), self.PUSHED))
        assert leader.position == pytest.approx(ARM.start_pose)

    @given(st.lists(st.floats(-20, 20), min_size=7, max_size=7), st.floats(1e-4, 2.0))
    def test_no_push_and_no_step_breaks_it(self, push: list[float], period_s: float) -> None:
        leader = LeaderArm(ARM, ARM.start_pose, self.weight)
        for _ in range(5):
            state = leader.update(np.zeros(7), OFF, None, period_s, (np.array(push), self.PUSHED))
        assert np.all(np.isfinite(state))
        assert np.all(leader.position >= ARM.limits.lower)
        assert np.all(leader.position <= ARM.limits.upper)
