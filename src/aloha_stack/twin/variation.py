"""How a task's worlds differ from what they are by default, in words that people write.

--variation untaught              the cube at B and D in turn
--variation taught,background     at A, C and E in turn, on other tables
--variation light                 where it is by default, in other light
"""

from dataclasses import dataclass

from aloha_stack.twin.looks import LOOKS, Look, look_of
from aloha_stack.twin.task import Position, Task

HELP = (
    "of the task's worlds, with commas between: where the object of pick_place lies (range, "
    "taught, untaught, A … E); what looks otherwise than it was taught, in any task (background, "
    "light)"
)
"""What `--variation` takes."""


class VariationError(ValueError):
    """The task does not know such a variation."""


@dataclass(frozen=True)
class Variation:
    """`place` is one of the task's places (empty, if it has none); `looks` are those changed."""

    task: Task
    place: str
    looks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """In words, the place always named: the same for the same variation."""
        return ",".join((*filter(None, [self.place]), *self.looks))

    def position(self, seed: int) -> Position | None:
        """Where the task's object lies on its line, if it has one."""
        return self.task.position(self.place, seed)

    def look(self, seed: int) -> Look:
        """How the world of `seed` looks."""
        return look_of(self.looks, seed)


def variation_of(task: Task, text: str) -> Variation:
    """The variation that `text` names: words with commas between them, in any order; none is the
    task's default. Raises VariationError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [word for word in words if word not in (*task.places, *LOOKS)]:
        raise VariationError(
            f"{task.name} has no variation {', '.join(map(repr, unknown))}; {known_words(task)}"
        )
    places = [word for word in words if word in task.places]
    if len(set(places)) > 1:
        raise VariationError(f"variation '{text}' names {len(set(places))} places; name one")
    place = places[0] if places else next(iter(task.places), "")
    return Variation(task, place, tuple(look for look in LOOKS if look in words))


def known_words(task: Task) -> str:
    """What may be said of a task."""
    where = f"where its object lies: {', '.join(task.places)}; " if task.places else ""
    return f"{where}what looks otherwise: {', '.join(LOOKS)}"
