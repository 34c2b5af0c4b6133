"""Which episodes were kept since the operator's tool was started."""

from aloha_interfaces.msg import RecorderState


class Tallied:
    """The episodes that were kept since the tool was started, as the recorder's state tells."""

    def __init__(self) -> None:
        self.episodes: dict[str, str] = {}
        """Outcome by path, in their order."""
        self._before: str | None = None
        self._last_kept: int | None = None

    def missing(self) -> None:
        """There is no recorder now; the next one counts from 0."""
        self._last_kept = None

    def saw(self, state: RecorderState) -> bool:
        """Takes a state; True if it tells of a further episode."""
        path, before, self._last_kept = state.last_path, self._last_kept, state.kept
        if self._before is None:
            self._before = path
        elif before is not None and state.kept < before:  # one was set aside
            if self.episodes:
                self.episodes.popitem()
            else:  # one of those that were there before
                self._before = path
        elif path and path != self._before and path not in self.episodes:
            self.episodes[path] = state.last_outcome
            return True
        if path in self.episodes:
            self.episodes[path] = state.last_outcome
        return False
