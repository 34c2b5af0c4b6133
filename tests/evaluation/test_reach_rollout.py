"""Policies are told where the goal is; what they reach before it moves is not counted."""

import numpy as np
import pytest

from aloha_stack.evaluation.disturbances import MOVED_M, PERTURBATIONS, Disturbances
from aloha_stack.evaluation.execution import Execution
from aloha_stack.evaluation.pictures import PolicyPictures
from aloha_stack.evaluation.plan import twin
from aloha_stack.evaluation.rollout import Outcome, roll_out
from aloha_stack.policies.policy import Observation, PolicyError
from aloha_stack.policies.snds_robot import limits
from aloha_stack.twin.world import World
from policies.small_snds import SPEC

SEED = 5
ARMS = [*range(6), *range(7, 13)]


class Straight:
    """Goes to its goal on a straight line; takes new ones if it is told to."""

    spec = SPEC

    def __init__(self) -> None:
        self.goals: list[np.ndarray] = []

    @property
    def goal(self) -> np.ndarray:
        return self.goals[-1] if self.goals else np.zeros(14)

    def set_goal(self, state: np.ndarray) -> None:
        self.goals.append(state.copy())

    def reset(self) -> None:
        self._sent: np.ndarray | None = None

    def act(self, observation: Observation) -> np.ndarray:
        if self._sent is None:
            self._sent = observation.state.astype(float)
        self._sent = self._sent + np.clip(self.aim() - self._sent, -0.03, 0.03)
        self._sent[[6, 13]] = observation.state[[6, 13]]
        return np.repeat(self._sent[None], SPEC.chunk, axis=0).astype(np.float32)

    def aim(self) -> np.ndarray:
        return self.goals[-1]


class Stubborn(Straight):
    """Still goes where it was told to go first."""

    def aim(self) -> np.ndarray:
        return self.goals[0]


def rolled(policy: Straight, kinds: tuple[str, ...], ticks: int) -> Outcome:
    world = World("reach", SEED, twin(), "start")
    pictures = PolicyPictures("reach", twin(), policy.spec)
    disturbances = Disturbances(kinds, SEED)
    return roll_out(world, twin(), policy, pictures, Execution("latest"), disturbances, ticks)


def test_a_goal_that_moves_is_told_and_only_there_is_success() -> None:
    told = Straight()
    outcome = rolled(told, ("goal",), 220)
    assert outcome.success
    assert outcome.ticks * 0.02 >= Disturbances(("goal",), SEED).over_s
    assert len(told.goals) == 2
    assert 0 < np.abs(told.goals[1] - told.goals[0]).max() < 10 * MOVED_M
    lower, upper = limits("twin")
    assert all(((lower <= goal) & (goal <= upper))[ARMS].all() for goal in told.goals)
    assert outcome.beyond_rad == 0
    assert not rolled(Stubborn(), ("goal",), 160).success


def test_shoves_come_before_success() -> None:
    shoved = rolled(Straight(), ("shove",), 250)
    assert shoved.ticks * 0.02 >= Disturbances(("shove",), SEED).over_s


def test_a_goal_that_the_policy_refuses_ends_the_evaluation() -> None:
    class Refusing(Straight):
        def set_goal(self, state: np.ndarray) -> None:
            raise PolicyError("goal: outside the limits of the arms: left_waist 9")

    with pytest.raises(PolicyError, match="left_waist"):
        rolled(Refusing(), PERTURBATIONS, 5)
