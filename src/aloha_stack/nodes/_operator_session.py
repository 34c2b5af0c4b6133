"""What the operator's keys mean, and which episode of how many is next."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from aloha_interfaces.action import RecordEpisode
from aloha_interfaces.msg import RecorderState, TeleopState

from aloha_stack.nodes._operator_known import Known
from aloha_stack.nodes._operator_obstacles import e_stop_in_force, obstacle
from aloha_stack.nodes._operator_requests import Requests
from aloha_stack.nodes._operator_tally import Tallied

KEYS = (
    (("SPACE", "start / stop: success"), ("s", "success"), ("f", "failure"), ("p", "pause")),
    (("d", "discard"), ("r", "record again"), ("l", "change outcome"), ("g", "disengage")),
    (("e", "E-STOP"), ("R", "reset the e-stop"), ("q", "quit")),
)
"""The help that is always shown: rows of (key, what it does)."""

OUTCOMES = {"s": "success", "f": "failure", "u": ""}
ESCAPE = "\x1b"
NOTICE_S = 15.0
"""Steady time for which a notice is shown."""
AGAIN_S = 3.0
"""Steady time in which `r`, pressed again, says yes to its own question."""


@dataclass(frozen=True)
class Plan:
    """What the tool was started for. `episodes` 0: no number; `reset_s` None: each is started by
    hand."""

    task: str = ""
    labels: tuple[str, ...] = ()
    duration_s: float = 0.0
    episodes: int = 0
    reset_s: float | None = None


class Session:
    """For several threads: keys, the screen and answers come from their own."""

    def __init__(self, plan: Plan, known: Known, requests: Requests) -> None:
        self.plan, self._known, self._requests = plan, known, requests
        self._lock = threading.RLock()
        self.tallied = Tallied()
        self.question = ""
        self.left = False
        self._answers: dict[str, Callable[[], None]] = {}
        self._again_s = 0.0
        """Until when a key that is pressed again is an answer."""
        self._notice, self._notice_s = "", 0.0
        self._next_s: float | None = None
        self._held = False

    # -- what is shown ----------------------------------------------------------------------

    def tell(self, words: str) -> None:
        """A notice, until the next one."""
        self._notice, self._notice_s = words, time.monotonic()

    @property
    def notice(self) -> str:
        """What happened last, while it is news."""
        return self._notice if time.monotonic() - self._notice_s < NOTICE_S else ""

    @property
    def done(self) -> int:
        """Episodes that count."""
        return len(self.tallied.episodes)

    @property
    def upcoming(self) -> str:
        """When the next episode begins by itself; empty if it does not."""
        if self._next_s is None:
            return ""
        if self._held:
            return "next episode: held (p goes on, SPACE starts)"
        left_s = self._next_s - time.monotonic()
        if left_s > 0:
            return f"next episode in {left_s:.0f} s (SPACE: now, p: hold)"
        return "next episode: as soon as teleoperation is engaged (SPACE: now, p: hold)"

    @property
    def warning(self) -> str:
        """That arms are recorded which stand still, and why; empty if they can move."""
        state = self._known.recorder.now
        if state is None or state.state != RecorderState.RECORDING:
            return ""
        words = obstacle(self._known)
        return f"NOTHING MOVES: {words}" if words else ""

    # -- what happens -----------------------------------------------------------------------

    def look(self) -> None:
        """To be called some ten times a second."""
        with self._lock:
            self._look()

    def press(self, key: str) -> None:
        """A key. While a question is open only its answers count, and `e`, which always stops."""
        with self._lock:
            self._press(key)

    def _look(self) -> None:
        safety = self._known.safety.now
        self._requests.look(e_stopped=safety is not None and safety.e_stopped)
        state = self._known.recorder.now
        if state is None:
            self.tallied.missing()
            return
        if self.tallied.saw(state) and self.plan.reset_s is not None and self._wants_more():
            self._next_s = time.monotonic() + self.plan.reset_s
        if state.state != RecorderState.IDLE:
            self._next_s = None
        if self._next_s is None or self._held or time.monotonic() < self._next_s:
            return
        teleop = self._known.teleop.now
        if teleop is not None and teleop.state == TeleopState.ENGAGED:
            self._start()

    def _press(self, key: str) -> None:
        if key in ("e", "E"):
            self._requests.e_stop()
            self._next_s = None
            self.tell("E-STOP asked for")
        elif self.question:
            self._answer(key)
        elif key in ("R", "g", "q"):
            self._press_for_all(key)
        elif key in (" ", "s", "f", "p", "d", "r", "l"):
            self._press_for_recorder(key)

    def _answer(self, key: str) -> None:
        answer = self._answers.get(key)
        if answer is None or (
            key == "r" and time.monotonic() > self._again_s
        ):  # perhaps text that somebody types: it must not run as keys
            self.tell("only an answer to the question counts now")
            return
        self.question, self._answers = "", {}
        answer()

    def _press_for_all(self, key: str) -> None:
        if key == "R":
            self._ask("reset the e-stop? The arms may move again", self._reset)
        elif key == "g":
            self._requests.ask("/teleop/disengage")
        elif self._recording():
            self._ask("the recording goes on without this tool: quit?", self._leave)
        else:
            self._leave()

    def _press_for_recorder(self, key: str) -> None:
        state = self._known.recorder.now
        if state is None:
            self.tell(f"the recorder is {self._known.recorder.absence}: nothing was done")
        elif state.state == RecorderState.CLOSING:
            self.tell("the episode is being closed; wait for it")
        elif state.state == RecorderState.IDLE:
            self._press_while_idle(key, state)
        else:
            self._press_while_recording(key, state)

    def _press_while_recording(self, key: str, state: RecorderState) -> None:
        name = state.path.rpartition("/")[2]
        if key in (" ", "s", "f"):
            self._requests.stop(state.path, "failure" if key == "f" else "success")
        elif key == "p":
            paused = state.state == RecorderState.PAUSED
            self._requests.ask("/recorder/resume" if paused else "/recorder/pause")
        elif key == "d":
            drop = partial(self._requests.stop, state.path, discard=True)
            self._ask(f"discard {name}?", self._while_recorded(state.path, drop))
        elif key == "r" and not self._stopped():
            redo = self._while_recorded(state.path, partial(self._redo, state.path))
            self._ask_again(f"discard and redo {name}?", redo)
        elif key == "l":
            self.tell("stop it first: s success, f failure")

    def _press_while_idle(self, key: str, state: RecorderState) -> None:
        path = state.last_path
        name = path.rpartition("/")[2]
        if key == " ":
            self._start()
        elif key == "p" and self._next_s is not None:
            self._held = not self._held
        elif not name or key == "p":
            self.tell("there is no episode yet" if key != "p" else "nothing is being recorded")
        elif key in ("s", "f"):
            self._label(OUTCOMES[key], path)
        elif key == "d":
            self._ask(f"set {name} aside?", self._while_last(path, self._discard))
        elif key == "r" and not self._stopped():
            again = self._while_last(path, partial(self._discard, self._start))
            self._ask_again(f"set aside and redo {name}?", again)
        elif key == "l":
            self.question = f"{name}: s success, f failure, u neither, ESC: as it is; e: E-STOP"
            self._answers = {
                key: self._while_last(path, partial(self._label, outcome, path))
                for key, outcome in OUTCOMES.items()
            } | {ESCAPE: self._leave_it}

    # -- parts ------------------------------------------------------------------------------

    def _ask(self, question: str, yes: Callable[[], None]) -> None:
        self.question = f"{question} (y: yes, n: no; e: E-STOP)"
        self._answers = {"y": yes, "n": self._leave_it, ESCAPE: self._leave_it}

    def _ask_again(self, question: str, yes: Callable[[], None]) -> None:
        """Of what `r` does: pressed again it says yes, for a while."""
        self.question = f"{question} (y, or r within {AGAIN_S:g} s: yes; n: no; e: E-STOP)"
        self._answers = {"y": yes, "r": yes, "n": self._leave_it, ESCAPE: self._leave_it}
        self._again_s = time.monotonic() + AGAIN_S

    def _leave_it(self) -> None:
        self.tell("nothing was done")

    def _while_recorded(self, path: str, act: Callable[[], None]) -> Callable[[], None]:
        """Does it if the episode `path` is being recorded when the answer comes."""
        on = (RecorderState.RECORDING, RecorderState.PAUSED)
        return partial(
            self._act_if, act, path, "being recorded", lambda s: s.path == path and s.state in on
        )

    def _while_last(self, path: str, act: Callable[[], None]) -> Callable[[], None]:
        """Does it if the episode `path` is the last that was kept when the answer comes."""
        closing = RecorderState.CLOSING  # the next is about to be the last
        return partial(
            self._act_if,
            act,
            path,
            "the last one",
            lambda s: s.last_path == path and s.state != closing,
        )

    def _act_if(
        self, act: Callable[[], None], path: str, what: str, holds: Callable[[RecorderState], bool]
    ) -> None:
        """What was asked of one episode is never done to another that came meanwhile."""
        state = self._known.recorder.now
        if state is None:
            self.tell(f"the recorder is {self._known.recorder.absence}: nothing was done")
        elif holds(state):
            act()
        else:
            self.tell(f"{path.rpartition('/')[2]} is not {what} any more: nothing was done")

    def _stopped(self) -> bool:
        """Whether the e-stop keeps a recording from beginning; says so."""
        words = e_stop_in_force(self._known)
        if words:
            self.tell(f"not recorded: {words}")
        return bool(words)

    def _start(self) -> None:
        if self._stopped():
            return
        plan = self.plan
        goal = RecordEpisode.Goal(
            task=plan.task, seed=-1, labels=list(plan.labels), duration=plan.duration_s
        )
        with self._lock:
            self._next_s, self._held = None, False
        self._requests.start(goal)

    def _redo(self, path: str) -> None:
        if not self._stopped():
            self._requests.stop(path, discard=True, then=self._start)

    def _label(self, outcome: str, path: str) -> None:
        self._requests.label(outcome, self.plan.labels, path)

    def _discard(self, then: Callable[[], None] | None = None) -> None:
        self._requests.ask("/recorder/discard_last", then=then)

    def _reset(self) -> None:
        self._requests.ask("/e_stop_reset")

    def _leave(self) -> None:
        self.left = True

    def _recording(self) -> bool:
        state = self._known.recorder.now
        return state is not None and state.state != RecorderState.IDLE

    def _wants_more(self) -> bool:
        return not self.plan.episodes or self.done < self.plan.episodes
