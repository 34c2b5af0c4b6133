"""The robot that an episode was recorded with: whose gripper constants its numbers are in."""

import os
from functools import cache

from aloha_stack.episodes.metadata import EpisodeInfo
from aloha_stack.robot.description import Robot, RobotConfigError, load_robot

FALLBACK = "aloha"


class _Unset(dict[str, str]):
    """The environment; a variable that is not set stands for itself.

    Ports and camera sources of a robot file name variables, which matter to those who open them.
    """

    def get(self, key: str, default: object = None) -> str:  # type: ignore[override]
        return self[key]

    def __missing__(self, key: str) -> str:
        return f"/{key}"


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
    return load_robot(name, _Unset(os.environ))
