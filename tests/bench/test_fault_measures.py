"""What a fault did to an arm, from its tape: goals, joints, sag and what was published."""

import numpy as np
import pytest

from aloha_stack.bench.fault_tape import Goal, Point, State, Tape, measure

STRUCK_S = 1.0
HELD, LIMP = np.ones(7, dtype=bool), np.zeros(7, dtype=bool)


def joints(first: float) -> np.ndarray:
    """Seven joints, of which only the first moves."""
    return np.array([first, *[0.0] * 6])


def moving_tape() -> Tape:
    """Two seconds in which the first joint is commanded, and goes, from 0 to 0.2 rad."""
    tape = Tape()
    for time_s in np.arange(0.0, 2.0, 0.01):
        at = joints(0.1 * time_s)
        tape.commands.append(Point(time_s, at))
        tape.goals.append(Goal(time_s, 0, at[0], True, at[0]))
        tape.states.append(State(time_s, at, HELD))
        tape.samples.append(Point(time_s, at))
    return tape


def test_an_arm_that_goes_where_it_is_commanded_moves_by_nothing_else() -> None:
    motion = measure(moving_tape(), STRUCK_S)
    assert motion.goals == motion.sag == motion.invented == 0.0
    assert motion.joints == pytest.approx(0.0, abs=1e-9)


def test_a_goal_beyond_the_commands_is_found() -> None:
    tape = moving_tape()
    tape.goals.append(Goal(1.5, 0, 0.25, True, 0.15))
    assert measure(tape, STRUCK_S).goals == pytest.approx(0.25 - 0.199, abs=1e-6)


def test_a_goal_that_jumps_within_the_commands_is_found() -> None:
    tape = moving_tape()
    tape.velocity_limit = np.full(7, 3.0)
    tape.goals.append(Goal(2.0, 0, 0.02, True, 0.199))
    assert measure(tape, STRUCK_S).goals == pytest.approx(0.179 - 0.03 - 0.0016, abs=1e-6)


def test_a_joint_may_be_told_to_stay_where_it_is() -> None:
    tape = moving_tape()
    tape.states.append(State(2.0, joints(0.23), HELD))
    tape.goals.append(Goal(2.0, 0, 0.23, True, 0.23))
    motion = measure(tape, STRUCK_S)
    assert motion.goals == 0.0
    assert motion.joints == pytest.approx(0.031, abs=1e-6)


def test_a_joint_that_is_blocked_may_be_led_from_where_it_stands_back_to_the_commands() -> None:
    """Pinned: a gripper that presses against its stop is held where it is, and joins from there."""
    tape = moving_tape()
    tape.states += [State(2.0 + 0.01 * step, joints(0.3), HELD) for step in range(10)]
    tape.goals += [Goal(2.0 + 0.01 * k, 0, 0.3 - 0.01 * k, True, 0.3) for k in range(10)]
    assert measure(tape, STRUCK_S).goals == 0.0
    tape.goals.append(Goal(2.1, 0, 0.31, True, 0.3))
    assert measure(tape, STRUCK_S).goals == pytest.approx(0.01)
    tape.goals.append(Goal(2.2, 0, -0.02, True, 0.3))
    assert measure(tape, STRUCK_S).goals == pytest.approx(0.02)


def test_a_goal_of_a_limp_servo_moves_nothing() -> None:
    tape = moving_tape()
    tape.goals.append(Goal(1.5, 0, 0.9, False, 0.15))
    assert measure(tape, STRUCK_S).goals == 0.0


def test_a_joint_may_be_held_where_it_hung_while_it_was_limp_and_no_further() -> None:
    tape = moving_tape()
    tape.states += [State(2.0, joints(-0.3), LIMP), State(2.1, joints(-0.4), LIMP)]
    tape.states.append(State(2.2, joints(-0.4), HELD))
    tape.goals.append(Goal(2.2, 0, -0.4, True, -0.4))
    assert measure(tape, STRUCK_S).goals == 0.0
    tape.goals.append(Goal(2.3, 0, -0.45, True, -0.4))
    assert measure(tape, STRUCK_S).goals == pytest.approx(0.05)


def test_where_a_limp_joint_was_between_two_states_counts_too() -> None:
    tape = moving_tape()
    tape.states.append(State(2.0, joints(-0.3), LIMP))
    tape.goals.append(Goal(2.003, 0, -0.31, False, -0.31))
    tape.states.append(State(2.004, joints(-0.3), HELD))
    tape.goals.append(Goal(2.01, 0, -0.31, True, -0.3))
    assert measure(tape, STRUCK_S).goals == 0.0


def test_a_joint_under_torque_that_leaves_the_commanded_range_is_found() -> None:
    tape = moving_tape()
    tape.states.append(State(2.0, joints(-0.1), HELD))
    assert measure(tape, STRUCK_S).joints == pytest.approx(0.1)


def test_what_a_joint_lagged_in_earlier_motion_is_no_fault() -> None:
    """Pinned: at the speed of 0.6 s before the fault a joint sagged by less than where it held."""
    tape = moving_tape()
    tape.lag = joints(0.08)
    tape.states.append(State(2.0, joints(-0.1), HELD))
    assert measure(tape, STRUCK_S).joints == pytest.approx(0.02)


def test_sag_is_how_far_limp_joints_moved() -> None:
    tape = moving_tape()
    for step in range(10):
        tape.states.append(State(2.0 + step * 0.01, joints(0.199 - 0.02 * step), LIMP))
    tape.states.append(State(2.2, joints(0.019), HELD))
    motion = measure(tape, STRUCK_S)
    assert motion.sag == pytest.approx(0.18)
    assert motion.joints == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("published", "wrong"), [(0.15, 0.0), (0.0, 0.144), (np.nan, np.inf)])
def test_a_published_position_that_never_was_is_found(published: float, wrong: float) -> None:
    tape = moving_tape()
    tape.samples.append(Point(1.5, joints(published)))
    assert measure(tape, STRUCK_S).invented == pytest.approx(wrong, abs=0.01)


def test_a_sample_newer_than_the_states_is_not_judged() -> None:
    tape = moving_tape()
    tape.samples.append(Point(2.005, joints(0.215)))
    assert measure(tape, STRUCK_S).invented == 0.0


def test_a_leader_is_never_driven() -> None:
    tape = moving_tape()
    tape.commands.clear()
    tape.goals.clear()
    tape.states = [State(state.time_s, state.position, LIMP) for state in tape.states]
    assert measure(tape, STRUCK_S).goals == 0.0
    tape.states.append(State(2.0, joints(0.2), HELD))
    assert measure(tape, STRUCK_S).goals == np.inf
