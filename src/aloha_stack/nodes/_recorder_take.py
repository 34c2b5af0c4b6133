"""One recording from its beginning to its result, whoever asked for it."""

import threading
from dataclasses import dataclass

from aloha_interfaces.action import RecordEpisode

from aloha_stack.episodes.metadata import silences
from aloha_stack.episodes.recording import Kept, Recording


@dataclass(frozen=True)
class Wanted:
    """What an episode is to be; `duration_s` of ROS time without pauses, 0 until it is stopped."""

    task: str = ""
    seed: int = -1
    labels: tuple[str, ...] = ()
    duration_s: float = 0.0

    @staticmethod
    def by_goal(goal: RecordEpisode.Goal) -> "Wanted":
        """What a goal of the action asks for."""
        return Wanted(goal.task, goal.seed, tuple(goal.labels), goal.duration)


class Take:
    """A recording that is on, and what became of it once `over` is set."""

    def __init__(self, wanted: Wanted, recording: Recording) -> None:
        self.wanted, self.recording = wanted, recording
        self.over = threading.Event()
        self.kept: Kept | None = None

    def recorded_s(self, now_ns: int) -> float:
        """Seconds of ROS time up to now, pauses left out."""
        return self.recording.timeline.recorded_s(now_ns)

    def left_s(self, now_ns: int) -> float | None:
        """Seconds that are still to be recorded; None if it has no duration."""
        if self.wanted.duration_s <= 0:
            return None
        return max(0.0, self.wanted.duration_s - self.recorded_s(now_ns))

    def finish(self, kept: Kept) -> None:
        """It is closed, and another may begin."""
        self.kept = kept
        self.over.set()

    def result(self) -> RecordEpisode.Result:
        """For who sent the goal; after `over`."""
        kept = self.kept
        assert kept is not None
        return RecordEpisode.Result(
            kept=kept.path is not None,
            path=str(kept.path or ""),
            outcome=kept.outcome,
            duration=self.recorded_s(0),
            messages=kept.messages,
            lost=kept.lost_messages,
            message=words(kept) if kept.path is not None else self.told(),
        )

    def told(self) -> str:
        """What became of which episode, in words; after `over`."""
        kept = self.kept
        assert kept is not None
        done = "discarded" if kept.path is None else "kept"
        return ": ".join(filter(None, (f"{self.recording.path.name} is {done}", words(kept))))


def words(kept: Kept) -> str:
    """What was not as it should be; empty if all was."""
    return "; ".join(filter(None, (kept.problem, *silences(kept.silent))))
