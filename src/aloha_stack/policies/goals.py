"""Goals as people write them: joints by name, as left_waist=0.3,right_elbow=0.8."""

import numpy as np

from aloha_stack.policies.options import options_of
from aloha_stack.policies.policy import NAMES, GoalPolicy, Policy, PolicyError


def set_goal(policy: Policy, text: str) -> None:
    """Gives a policy the goal that `text` describes in rad; joints that it leaves out keep theirs.

    Raises PolicyError for a policy that takes none, a joint that there is not, a goal that the arms
    may not go to.
    """
    if not isinstance(policy, GoalPolicy):
        raise PolicyError(f"policy '{policy.spec.policy}' goes to no goal that could be set")
    goal = np.array(policy.goal, dtype=float)
    for name, value in options_of(text).items():
        if name not in NAMES:
            raise PolicyError(f"goal: there is no joint '{name}'; there are {', '.join(NAMES)}")
        try:
            goal[NAMES.index(name)] = float(value)
        except ValueError:
            raise PolicyError(f"goal: {name}: expected rad, found '{value}'") from None
    policy.set_goal(goal)
