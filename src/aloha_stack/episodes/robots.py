"""The robot that an episode was recorded with: whose gripper constants its numbers are in."""

from functools import cache

from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.robot.description import Robot, RobotConfigError, load_unopened_robot

FALLBACK = "aloha"


def robot_of(info: EpisodeInfo) -> tuple[Robot, str]:
    """The robot that `info` names, and "".

    If it is not known here, the constants of FALLBACK are taken, and the text says so.
    """
    if info.robot:
        try:
            return _load(info.robot), ""
        except RobotConfigError as error:
            why = f"its robot {info.robot!r} is not known here ({error})"
    else:
        why = "it names no robot"
    return _load(FALLBACK), f"{why}: the gripper constants of {FALLBACK} are used"


@cache
def _load(name: str) -> Robot:
    """Each file once: a list of episodes is of one robot."""
    return load_unopened_robot(name)
