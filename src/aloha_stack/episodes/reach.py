"""Whether joint values can be those of a robot at all: finite is not enough."""

import numpy as np

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.joint_numbers import NAMES
from aloha_stack.episodes.steps import EpisodeSteps
from aloha_stack.robot.description import Robot
from aloha_stack.robot.joints import FOLLOWERS

BEYOND_RAD = 2.0 * np.pi
"""A turn beyond a joint's limits: no zero of a servo is further off. Degrees are."""

BEYOND_OPENINGS = 10.0
"""The same of grippers, whose values are 0 (closed) … 1 (open)."""


def check_reach(steps: EpisodeSteps, robot: Robot) -> None:
    """Raises EpisodeError, by file, row and joint, for a state or an action far beyond `robot`."""
    lowest, highest = [], []
    for arm in FOLLOWERS:
        limits = robot.arm(arm).limits
        lowest += [*(limits.lower[:6] - BEYOND_RAD), -BEYOND_OPENINGS]
        highest += [*(limits.upper[:6] + BEYOND_RAD), 1.0 + BEYOND_OPENINGS]
    for name in ("state", "action"):
        values = getattr(steps, name)
        beyond = (values < lowest) | (values > highest)
        if beyond.any():
            row, column = np.argwhere(beyond)[0]
            unit = "of 0 … 1" if column % 7 == 6 else "rad"
            raise EpisodeError(
                f"{steps.source}: {name} has {int(beyond.sum())} values that no {robot.name} can "
                f"have, the first in row {row}: {NAMES[column]} is {values[row, column]:g} {unit} "
                f"(expected {lowest[column]:.3g} … {highest[column]:.3g} at the very most); leave "
                "this file out, or convert its units"
            )
