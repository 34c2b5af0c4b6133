"""SNDS acts: V falls from tick to tick inside the limits, pushes and moved goals are recovered."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aloha_stack.policies.certifying import certify
from aloha_stack.policies.checkpoint import Checkpoint, CheckpointError, load, save
from aloha_stack.policies.cloning import PlainDynamics
from aloha_stack.policies.goals import set_goal
from aloha_stack.policies.policy import ObservationError, PolicyError, check_chunk
from aloha_stack.policies.snds import SndsPolicy
from aloha_stack.policies.stability import Effort
from policies import small_act
from policies.small_snds import CONFIG, GOAL, POSES, START, at, policy, saved

QUICK = Effort(samples=300, climbers=16, climbs=4, steps=50, starts=4)


def follow(made: SndsPolicy, state: np.ndarray, ticks: int, first: int = 0) -> np.ndarray:
    """Arms that are where they were sent, one tick later: all states (ticks + 1, 14)."""
    states = [state]
    for tick in range(first, first + ticks):
        states.append(made.act(at(states[-1], tick))[1].astype(float))
    return np.array(states)


@pytest.mark.parametrize("config", [CONFIG, POSES])
def test_v_falls_at_every_tick_and_limits_are_kept(config: object) -> None:
    made = policy(config)  # type: ignore[arg-type]
    states = follow(made, START, 40)
    values = np.array([made.lyapunov(state) for state in states])
    assert (np.diff(values) < 0).all()
    columns = made.config.columns
    assert (states[1:, columns] >= made.motion.lower[columns] - 1e-6).all()
    assert (states[1:, columns] <= made.motion.upper[columns] + 1e-6).all()


@pytest.mark.parametrize("config", [CONFIG, POSES])
def test_what_it_does_not_move_stays_where_it_was(config: object) -> None:
    made = policy(config)  # type: ignore[arg-type]
    others = np.setdiff1d(np.arange(14), made.config.columns)
    chunk = made.act(at(START))
    check_chunk(made.spec, chunk)
    assert (chunk[:, others] == START[others].astype(np.float32)).all()


def test_the_way_goes_on_where_the_last_chunk_led() -> None:
    made = policy()
    first, second = made.act(at(START, 0)), made.act(at(START, 1))
    assert np.allclose(first[1:], second[:-1], atol=1e-6)
    between = made.act(at(START, 2))
    assert np.allclose(second[1:], between[:-1], atol=1e-6)


def test_arms_that_lag_are_not_taken_for_pushed_and_pushed_ones_are() -> None:
    made = policy()
    sent = np.array([made.act(at(START, tick))[0] for tick in range(8)])
    assert np.abs(sent[-1] - START).max() > 0.005  # it moves though they do not yet
    pushed = START + np.where(np.isin(np.arange(14), made.config.columns), 0.4, 0.0)
    assert np.allclose(made.act(at(pushed, 8))[0], pushed, atol=1e-6)
    values = [made.lyapunov(state) for state in follow(made, pushed, 10, 9)]
    assert (np.diff(values) < 0).all()


def test_a_goal_moved_in_mid_motion_is_gone_to_without_a_jump() -> None:
    made = policy()
    before = made.act(at(START, 0))
    goal = GOAL + 0.3 * np.isin(np.arange(14), made.config.columns)
    made.set_goal(goal)
    after = made.act(at(START, 1))
    assert np.allclose(after[0], before[1], atol=1e-6)
    assert np.abs(np.diff(after, axis=0)).max() < 0.05
    assert made.lyapunov(goal) == 0.0
    made.adjust("goal_left_waist", "0.25")
    assert made.goal[0] == 0.25


@pytest.mark.parametrize("value", [np.nan, 3.2, -3.2])
def test_a_goal_outside_the_limits_is_refused_by_the_joints_name(value: float) -> None:
    made = policy()
    goal = GOAL.copy()
    goal[8] = value
    with pytest.raises(PolicyError, match=r"right_shoulder|14 numbers"):
        made.set_goal(goal)
    assert (made.goal == GOAL).all()


def test_a_goal_is_set_in_words() -> None:
    made = policy()
    set_goal(made, "left_waist=0.25, right_elbow=-0.5")
    wanted = GOAL.copy()
    wanted[[0, 9]] = 0.25, -0.5
    assert (made.goal == wanted).all()
    for text, says in (
        ("left_waist=9", r"outside the limits of the arms: left_waist 9.000 \(limits -3"),
        ("left_knee=1", "no joint 'left_knee'; there are left_waist"),
        ("left_waist=up", "left_waist: expected rad, found 'up'"),
    ):
        with pytest.raises(PolicyError, match=says):
            set_goal(made, text)
    assert (made.goal == wanted).all()
    with pytest.raises(PolicyError, match="'act' goes to no goal"):
        set_goal(small_act.policy(), "left_waist=0")


def test_cloning_goes_the_same_ways_inside_the_limits_and_needs_no_certificate(
    tmp_path: Path,
) -> None:
    dynamics = PlainDynamics(CONFIG.dim, CONFIG.hidden)
    with torch.no_grad():
        dynamics.nominal[-1].bias += 50.0  # out of the arms' limits
    known = policy()
    spec = replace(known.spec, policy="cloning")
    weights, statistics = dynamics.state_dict(), {"motion": known.motion.as_dict()}
    save(tmp_path, Checkpoint(spec, CONFIG.as_dict(), statistics, weights), "# A test\n")
    made = load(tmp_path)
    chunk = made.act(at(START))
    columns = CONFIG.columns
    assert np.abs(chunk[-1, columns] - START[columns]).max() > 0.1
    assert (chunk[:, columns] <= known.motion.upper[columns] + 1e-6).all()
    set_goal(made, "left_waist=0.1")


def test_a_state_outside_the_limits_is_led_inside() -> None:
    made = policy()
    outside = START.copy()
    outside[0] = made.motion.upper[0] + 0.05
    assert made.act(at(outside))[0, 0] <= made.motion.upper[0] + 1e-6


def test_a_reset_and_a_pause_begin_anew() -> None:
    made = policy()
    fresh = made.act(at(START, 0))
    made.act(at(START, 1))
    made.reset()
    assert np.array_equal(made.act(at(START, 0)), fresh)
    assert np.array_equal(made.act(at(START, 200)), fresh)
    assert np.array_equal(made.act(at(START, 3)), fresh)


def test_a_joint_that_is_no_number_is_refused() -> None:
    state = START.copy()
    state[3] = np.nan
    with pytest.raises(ObservationError, match="left_forearm_roll"):
        policy().act(at(state))


def test_without_its_certificate_a_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    with pytest.raises(CheckpointError, match="analyse stability"):
        load(folder)
    found = certify(folder, QUICK)
    assert found.violations == 0
    again = load(folder)
    assert np.allclose(again.act(at(START)), policy().act(at(START)), atol=1e-6)


def test_a_certificate_of_other_weights_or_one_that_does_not_hold_is_refused(
    tmp_path: Path,
) -> None:
    folder, other = saved(tmp_path / "one"), saved(tmp_path / "two", policy(seed=1))
    certify(folder, QUICK)
    (other / "certificate.json").write_bytes((folder / "certificate.json").read_bytes())
    with pytest.raises(CheckpointError, match="other weights"):
        load(other)
    text = (folder / "certificate.json").read_text()
    (folder / "certificate.json").write_text(text.replace('"holds": true', '"holds": false', 1))
    with pytest.raises(CheckpointError, match="violated"):
        load(folder)
    (folder / "certificate.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        load(folder)
