"""What an export will write, looked over before anything is written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.steps import EpisodeSteps, Form, check_numbers
from aloha_stack.episodes.target import check_target, new_target
from aloha_stack.progress import Progress

Tell = Callable[[int], None]


@dataclass(frozen=True)
class Source:
    """A file or folder, and how to read its episodes of steps, one after the other."""

    path: Path
    read: Callable[[], Iterator[EpisodeSteps]]


class Sink(Protocol):
    """What episodes are written to."""

    def add(self, steps: EpisodeSteps, tell: Tell) -> None:
        """Writes one episode, telling how many pictures more are done. Raises EpisodeError."""

    def finish(self) -> None:
        """Completes the data set. Raises EpisodeError."""


@dataclass(frozen=True)
class Plan:
    """What will be written."""

    sources: tuple[Source, ...]
    forms: tuple[Form, ...]  # of each episode
    tasks: frozenset[str]
    steps: int
    pictures: int

    @property
    def form(self) -> Form:
        """Of all episodes, if they had to be alike."""
        return self.forms[0]


def look_over(sources: Sequence[Source], progress: Progress, alike: bool = True) -> Plan:
    """Reads everything but the pictures. Raises EpisodeError, which names all that is wrong.

    `alike`: the episodes have to have the same cameras, rate and robot; else only cameras of the
    same names.
    """
    first = ""
    forms: list[Form] = []
    tasks: set[str] = set()
    steps_count = pictures = 0
    problems, remarks = [], []
    for number, source in enumerate(sources):
        progress.show(f"looking over {source.path.name}", number / len(sources))
        try:
            for steps in source.read():
                check_numbers(steps)
                steps_count += len(steps)
                pictures += len(steps) * len(steps.cameras)
                forms.append(Form.of(steps))
                tasks.add(steps.task)
                first = first or steps.source
                remarks += [remark for remark in steps.remarks if remark not in remarks]
                difference = (forms[0].difference if alike else forms[0].other_cameras)(forms[-1])
                if difference:
                    problems.append(f"{steps.source} differs from {first}: {difference}")
        except EpisodeError as error:
            problems.append(str(error))
    for remark in remarks:
        progress.say(remark)
    if problems:
        raise EpisodeError(
            "nothing was written:\n" + "\n".join(f"- {problem}" for problem in problems)
        )
    if not forms:
        raise EpisodeError("there is nothing to export")
    return Plan(tuple(sources), tuple(forms), frozenset(tasks), steps_count, pictures)


def write_all(
    plan: Plan, target: Path, sink_in: Callable[[Path], Sink], progress: Progress
) -> None:
    """Writes `plan` to the folder `target`, which comes into being whole or not at all.

    Raises EpisodeError, which names the episode that could not be written.
    """
    check_target(target)
    done = 0

    def tell(pictures: int) -> None:
        nonlocal done
        done += pictures
        progress.show(f"{name}: {done} of {plan.pictures} pictures", done / plan.pictures)

    with new_target(target) as folder:
        sink = sink_in(folder)
        for source in plan.sources:
            name = source.path.name
            for steps in source.read():
                try:
                    sink.add(steps, tell)
                except OSError as error:
                    raise EpisodeError(f"{steps.source} could not be written: {error}") from error
        sink.finish()
