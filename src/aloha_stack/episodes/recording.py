"""A recording in progress: takes messages from any thread, writes them in a thread of its own."""

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aloha_stack.episodes.metadata import pause_notes, silence_notes
from aloha_stack.episodes.timeline import Timeline
from aloha_stack.episodes.writer import EpisodeWriter

QUEUE_BYTES = 128 << 20
"""What may wait for a slow disk: five seconds of four cameras at 25 MB/s, within 300 MB in all."""


INTERRUPTED = "interrupted"
"""The outcome of a recording that nobody ended on purpose."""


@dataclass(frozen=True)
class Ending:
    """How a recording is to end; `problem` says why, where nobody wanted it to; `notes` go into
    the metadata."""

    outcome: str = ""
    labels: tuple[str, ...] = ()
    discard: bool = False
    problem: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Notes:
    """Notes that are to be on the disk at once; `done` is set when they are."""

    notes: Mapping[str, str]
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Kept:
    """What became of a recording: `path` is None if discarded, `problem` says what failed or
    ended it, `silent` for how long (s) streams were silent that should not have been."""

    path: Path | None
    outcome: str
    messages: int
    lost: dict[str, int]
    problem: str
    silent: Mapping[str, float] = field(default_factory=dict)

    @property
    def lost_messages(self) -> int:
        """All that was lost, of all topics."""
        return sum(self.lost.values())


class Recording:
    """Feeds one EpisodeWriter. `add` never waits; what finds no room is counted as lost.

    Times are ns of ROS time. While it is paused nothing is written, and nothing counts as lost.
    """

    def __init__(
        self, writer: EpisodeWriter, began_ns: int = 0, queue_bytes: int = QUEUE_BYTES
    ) -> None:
        self.path = writer.path
        self.timeline = Timeline(began_ns)
        self._writer = writer
        self._room = queue_bytes
        self._waiting = 0
        self._lock = threading.Lock()
        self._lost: dict[str, int] = dict.fromkeys(writer.tally.counts, 0)
        self._messages: queue.SimpleQueue[tuple[str, bytes, int, int, int] | _Notes | Ending] = (
            queue.SimpleQueue()
        )
        self._silent: dict[str, float] = {}
        self._problem = ""
        self._ending = False
        self._result: Kept | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="episode writer", daemon=True)
        self._thread.start()

    @property
    def messages(self) -> int:
        """Messages written so far."""
        return self._writer.tally.messages

    @property
    def lost(self) -> int:
        """Messages lost so far, of all topics."""
        with self._lock:
            return sum(self._lost.values())

    @property
    def ending(self) -> bool:
        """Whether the end was asked for."""
        return self._ending

    @property
    def problem(self) -> str:
        """Why writing has failed (disk full); empty while all is well."""
        return self._problem

    def add(self, topic: str, data: bytes, log_ns: int, publish_ns: int, sequence: int) -> None:
        """Takes a message over. One that comes after `end`, or finds no room, is not written."""
        with self._lock:
            if self._ending or self.timeline.paused:
                return
            if self._waiting + len(data) > self._room or self._problem:
                self._lost[topic] += 1
                return
            self._waiting += len(data)
            self._messages.put((topic, data, log_ns, publish_ns, sequence))

    def missed(self, topic: str, count: int) -> None:
        """Notes that `count` messages of `topic` never arrived."""
        with self._lock:
            if not self.timeline.paused:
                self._lost[topic] += count

    def pause(self, now_ns: int) -> threading.Event | None:
        """Writes nothing from now on; None if that is so already, or if the recording is ending.

        The pause is in the metadata as soon as the event is set: a crash does not lose it.
        """
        with self._lock:
            if self._ending or not self.timeline.pause(now_ns):
                return None
            return self._note(pause_notes(self.timeline.pauses))

    def resume(self, now_ns: int) -> threading.Event | None:
        """Goes on; None if it is not paused. The event is as for `pause`."""
        with self._lock:
            if self._ending or not self.timeline.resume(now_ns):
                return None
            return self._note(pause_notes(self.timeline.pauses))

    def _note(self, notes: Mapping[str, str]) -> threading.Event:
        item = _Notes(notes)
        self._messages.put(item)
        return item.done

    def silent(self, topic: str, seconds: float) -> None:
        """Notes for how long a stream has been silent; a later figure replaces it."""
        with self._lock:
            self._silent[topic] = seconds

    def end(self, ending: Ending, now_ns: int = 0) -> bool:
        """Asks for the end; False if it was asked for before. Does not wait."""
        with self._lock:
            if self._ending:
                return False
            self._ending = True
            self.timeline.end(now_ns)
            self._messages.put(ending)
            return True

    def wait(self, timeout_s: float | None = None) -> Kept | None:
        """What became of the episode, once it is closed; None after `timeout_s`."""
        self._done.wait(timeout_s)
        return self._result

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self._done.set()

    def _work(self) -> None:
        while True:
            try:
                item = self._messages.get(timeout=0.2)
            except queue.Empty:
                self._guarded(self._writer.flush_if_due)
                continue
            if isinstance(item, Ending):
                self._finish(item)
                return
            if isinstance(item, _Notes):
                self._guarded(partial(self._writer.annotate, item.notes))
                item.done.set()
                continue
            with self._lock:
                self._waiting -= len(item[1])
            if self._problem:
                with self._lock:
                    self._lost[item[0]] += 1
            else:  # what fails to be written waits in the writer, which counts it at the end
                self._guarded(partial(self._writer.write, *item))

    def _fail(self, error: BaseException) -> None:
        """An error that nobody foresaw: what was written is closed as well as it can be."""
        self._problem = f"writing {self.path} failed: {error!r}"
        with self._lock:
            self._ending = True
        with contextlib.suppress(Exception):  # the first error is the one that is told
            self._writer.finish(INTERRUPTED, (), dict(self._lost), self._notes())
        self._result = Kept(
            self.path,
            INTERRUPTED,
            self.messages,
            dict(self._writer.info.lost) or dict(self._lost),
            self._problem,
            dict(self._silent),
        )

    def _guarded(self, write: Callable[[], object]) -> bool:
        """Runs a write; a full or vanished disk ends the recording, not the recorder."""
        try:
            write()
        except OSError as error:
            self._problem = (
                f"writing {self.path} failed: {error.strerror or error}; make room on the disk or "
                "choose another directory"
            )
            return False
        return True

    def _finish(self, ending: Ending) -> None:
        lost, outcome = dict(self._lost), ending.outcome
        kept: Path | None = self.path
        if ending.discard:
            kept = None
            self._guarded(self._writer.discard)
        else:
            self._guarded(self._writer.flush)
            if self._problem:  # it is not what the operator saw
                outcome = INTERRUPTED
            notes = {**self._notes(), **ending.notes}
            self._guarded(partial(self._writer.finish, outcome, ending.labels, lost, notes))
            lost = dict(self._writer.info.lost)
        problem = self._problem or ending.problem
        self._result = Kept(kept, outcome, self.messages, lost, problem, dict(self._silent))

    def _notes(self) -> dict[str, str]:
        return {**silence_notes(self._silent), **pause_notes(self.timeline.pauses)}
