"""The episodes that were kept since the recorder was started: labelled anew, or set aside."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aloha_stack.episodes.errors import EpisodeError
from aloha_stack.episodes.keeping import relabel, set_aside

OUTCOMES = ("success", "failure", "")


@dataclass(frozen=True)
class KeptEpisode:
    """Where it is, and its outcome."""

    path: Path
    outcome: str


def check_outcome(outcome: str) -> None:
    """Refuses an outcome that is not known: EpisodeError."""
    if outcome not in OUTCOMES:
        raise EpisodeError(
            f"outcome {outcome!r} is not known; expected success, failure or nothing"
        )


class KeptEpisodes:
    """In the order in which they were kept. For several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._episodes: list[KeptEpisode] = []

    def add(self, path: Path, outcome: str) -> None:
        """One more."""
        with self._lock:
            self._episodes.append(KeptEpisode(path, outcome))

    def __len__(self) -> int:
        return len(self._episodes)

    @property
    def last(self) -> KeptEpisode | None:
        """The one that was kept last."""
        with self._lock:
            return self._episodes[-1] if self._episodes else None

    def label(self, name: str, outcome: str, labels: Sequence[str]) -> Path:
        """Labels the episode `name` (a folder, a name in our directory, empty: the last) anew.

        Returns where it is. Raises EpisodeError or OSError.
        """
        check_outcome(outcome)
        with self._lock:
            path = self._last("label").path if not name else self._directory / name
            relabel(path, outcome, labels)
            self._episodes = [
                KeptEpisode(path, outcome) if episode.path == path else episode
                for episode in self._episodes
            ]
            return path

    def discard_last(self) -> Path:
        """Sets the last one aside; returns where it is now. Raises EpisodeError or OSError."""
        with self._lock:
            moved = set_aside(self._last("discard").path)
            self._episodes.pop()
            return moved

    def _last(self, what: str) -> KeptEpisode:
        if not self._episodes:
            raise EpisodeError(
                f"there is nothing to {what}: no episode was kept in {self._directory} since the "
                "recorder was started (or all were discarded)"
            )
        return self._episodes[-1]
