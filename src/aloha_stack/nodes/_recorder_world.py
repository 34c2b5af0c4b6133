"""The seed of an episode: the one that was asked for, else that of the twin's present world."""

from aloha_interfaces.msg import TaskState
from rclpy.serialization import deserialize_message

from aloha_stack.nodes._recorder_taps import Taps

TASK = "/task/state"
"""Only the twin tells it: no real robot knows a seed."""


def seed_of_episode(asked: int, taps: Taps) -> int:
    """`asked`, if it is above 0; else what the twin has told last, if it has told anything since
    the taps were opened. A goal that names no seed says -1, or 0 as every number left out."""
    told = taps.find(TASK)
    if asked > 0 or told is None or told.heard_s < taps.opened_s:
        return asked
    return int(deserialize_message(told.latest, TaskState).seed)
