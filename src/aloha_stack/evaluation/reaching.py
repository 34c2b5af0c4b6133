"""A goal that is given to a policy as joints, and moves while the policy is on its way."""

import numpy as np

from aloha_stack.policies.policy import GoalPolicy, Policy
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import side_of
from aloha_stack.twin.kinematics import ArmKinematics
from aloha_stack.twin.world import World


class Reaching:
    """Tells `policy` where the goal of `world` is, whenever it has moved; does nothing where the
    task has none, or the policy takes none."""

    def __init__(self, world: World, robot: Robot, policy: Policy) -> None:
        self._world, self._policy = world, policy
        self._arms = {
            arm.name: ArmKinematics(
                world.model, side_of(arm.name), arm.limits.soft_lower, arm.limits.soft_upper
            )
            for arm in (robot.followers if world.goal is not None else ())
        }
        self._guess = {arm.name: arm.start_pose[:6] for arm in robot.followers}
        self._shift_m = np.full(3, np.nan)  # nothing was told yet

    def move(self, shift_m: np.ndarray) -> None:
        """The goal is `shift_m` (3,) from where it first was. Raises UnreachableError, and
        PolicyError for one that the policy refuses."""
        goal = self._world.goal
        if goal is None or np.array_equal(shift_m, self._shift_m):
            return
        goal.move(shift_m)
        self._shift_m = shift_m
        if not isinstance(self._policy, GoalPolicy):
            return
        state = np.array(self._policy.goal, dtype=float)  # grippers: as the policy has them
        for (name, arm), joints in zip(self._arms.items(), np.split(state, 2), strict=True):
            joints[:6] = arm.inverse(goal.pose(side_of(name)), self._guess[name])
            self._guess[name] = joints[:6]
        self._policy.set_goal(state)
