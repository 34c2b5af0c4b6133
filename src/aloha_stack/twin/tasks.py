"""The tasks of the twin, by name."""

from aloha_stack.twin.gym_aloha_tasks import INSERTION, TRANSFER_CUBE
from aloha_stack.twin.pick_place import PickPlace
from aloha_stack.twin.reach import Reach
from aloha_stack.twin.task import Task

_ALL: tuple[Task, ...] = (TRANSFER_CUBE, INSERTION, PickPlace(), Reach())
TASKS = {task.name: task for task in _ALL}


class UnknownTaskError(ValueError):
    """There is no task of that name."""


def find_task(name: str) -> Task:
    """The task called `name`; an UnknownTaskError lists those that exist."""
    if name not in TASKS:
        raise UnknownTaskError(f"no task '{name}'; there is {', '.join(TASKS)}")
    return TASKS[name]
