"""The seed of an episode: that of the twin's present world, else the one that was asked for."""

from aloha_interfaces.msg import TaskState
from rclpy.serialization import deserialize_message

from aloha_stack.nodes._recorder_taps import Taps

TASK = "/task/state"
"""Only the twin tells it: no real robot knows a seed."""


def seed_of_episode(asked: int, taps: Taps) -> int:
    """What the twin has told last, if it has told anything since the taps were opened: who asks
    for another seed does not change the world. Else `asked`."""
    told = taps.find(TASK)
    if told is None or told.heard_s < taps.opened_s:
        return asked
    return int(deserialize_message(told.latest, TaskState).seed)
