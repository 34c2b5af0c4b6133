"""What an episode says of the simulated world that it was made in, beside its task and seed."""

import json
from dataclasses import asdict, dataclass

from aloha_stack.episodes.metadata import EpisodeInfo

VARIATION = "variation"
"""The note with the words for how the task's worlds were varied, as `--variation` takes them."""

POSITION = "position"
"""The note that says where on its line the task's object lay at first, as JSON."""


@dataclass(frozen=True)
class NotedPosition:
    """`share` of the line's way, 0 … 1, and `x_m` in the world; `name` of the point, if at one."""

    name: str
    share: float
    x_m: float


def world_notes(variation: str, position: NotedPosition | None) -> dict[str, str]:
    """The notes of one episode; none for a task that is as it always is."""
    notes = {VARIATION: variation} if variation else {}
    return notes | ({POSITION: json.dumps(asdict(position))} if position is not None else {})


def noted_variation(info: EpisodeInfo) -> str:
    """In words; empty if there is nothing to vary, or nobody noted it."""
    return info.notes.get(VARIATION, "")


def noted_position(info: EpisodeInfo) -> NotedPosition | None:
    """Where the object lay; None if nobody noted it. Raises ValueError for what is no position."""
    note = info.notes.get(POSITION)
    if note is None:
        return None
    try:
        found = json.loads(note)
        return NotedPosition(str(found["name"]), float(found["share"]), float(found["x_m"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"the note {POSITION} is {note!r}; expected an object with name, share and x_m"
        ) from error
