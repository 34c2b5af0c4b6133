"""Policies with a memory in a rollout without ROS: a step a tick, or at a rate of their own."""

from dataclasses import replace

import numpy as np
import pytest

from aloha_stack.evaluation.execution import Execution, PolicyCommands
from aloha_stack.evaluation.numbers import RobotNumbers
from aloha_stack.evaluation.plan import check_rate, check_spec, loaded, twin
from aloha_stack.policies.checkpoint import CheckpointError, save
from aloha_stack.policies.policy import Observation, PolicyError, PolicySpec
from aloha_stack.policies.recurrent_policy import RecurrentPolicy, chunk_rows
from policies import small_recurrent as small

TICK_NS = 20_000_000
START = np.concatenate([arm.start_pose for arm in twin().followers])


class Course:
    """A policy with a memory that sweeps the waist, a step further whenever it is asked."""

    def __init__(self, rate_hz: float = 50.0) -> None:
        self.spec = PolicySpec(
            "sarnn", "twin", (), None, chunk_rows(rate_hz), "", rate_hz, stateful=True
        )
        self.asked: list[int] = []
        self.resets = 0

    def reset(self) -> None:
        self.asked.clear()
        self.resets += 1

    def act(self, observation: Observation) -> np.ndarray:
        self.asked.append(observation.stamp_ns)
        steps = len(self.asked)
        rows = np.zeros((self.spec.chunk, 14), np.float32)
        rows[0, 7], rows[1:, 7] = self.at(steps - 1), self.at(steps)
        return rows

    def at(self, step: float) -> float:
        """Where the waist is to be after so many steps."""
        return 0.3 * float(np.sin(step / self.spec.rate_hz))


def waist(policy: Course, execution: Execution, ticks: int = 100) -> np.ndarray:
    """Of the right arm, at each tick."""
    commands = PolicyCommands(policy, RobotNumbers(twin()), execution, TICK_NS)
    commands.begin(START, 0)
    found = []
    for tick in range(ticks):
        now_ns = tick * TICK_NS
        position = commands.target(now_ns)
        found.append(position[7])
        if commands.asks(now_ns):
            commands.observe(Observation(np.zeros(14, np.float32), {}, now_ns))
    assert commands.holds == commands.refused == 0
    return np.array(found)


@pytest.mark.parametrize("mode", ["ensemble", "latest"])
def test_what_is_said_of_the_next_step_is_done_at_the_next_step(mode: str) -> None:
    policy = Course()
    found = waist(policy, Execution(mode, blend_s=0.02))
    assert policy.asked == [tick * TICK_NS for tick in range(100)]
    assert policy.resets == 1
    expected = [policy.at(tick) for tick in range(100)]
    np.testing.assert_allclose(found[20:], expected[20:], atol=1e-6)


def test_a_policy_of_10_hz_is_asked_every_fifth_tick_and_moves_at_each() -> None:
    policy = Course(10.0)
    found = waist(policy, Execution())
    assert policy.asked == [tick * TICK_NS for tick in range(0, 100, 5)]
    steps = np.arange(100) / 5
    said = np.array([policy.at(step) for step in range(21)])
    expected = np.interp(steps, np.arange(21), said)
    np.testing.assert_allclose(found[50:], expected[50:], atol=1e-6)
    assert (np.diff(found[5:60]) > 0).all()


def test_other_rates_are_refused() -> None:
    spec = replace(Course().spec, rate_hz=30.0)
    with pytest.raises(PolicyError, match="rate is 30 Hz"):
        check_spec(spec, "pick_place", twin())
    assert check_rate(replace(spec, rate_hz=10.0)) == 5


def test_input_param_comes_with_the_plan(tmp_path: pytest.TempPathFactory) -> None:
    save(str(tmp_path), small.checkpoint(small.policy("sarnn")), "# A test\n")
    policy = loaded(str(tmp_path), "cpu", "auto", "input_param=0.25")
    assert isinstance(policy, RecurrentPolicy)
    assert policy.input_param == 0.25
    with pytest.raises(CheckpointError, match="no option 'k'; there is input_param"):
        loaded(str(tmp_path), "cpu", "eager", "k=3")
