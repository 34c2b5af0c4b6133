"""What the operator's keys ask for, and of which episode."""

from collections.abc import Callable
from typing import Any

import pytest
from aloha_interfaces.action import RecordEpisode
from aloha_interfaces.msg import RecorderState, SafetyState
from rclpy.node import Node
from rclpy.task import Future

from aloha_stack.nodes import _operator_session
from aloha_stack.nodes._operator_known import Known
from aloha_stack.nodes._operator_requests import RECORD, Requests
from aloha_stack.nodes._operator_session import Plan, Session
from aloha_stack.robot.joints import ARMS
from nodes.operator_rig import stand_maker
from nodes.recorder_rig import wait_for

__all__ = ["stand_maker"]  # pytest finds the fixture by its presence

PLAN = Plan("insertion", ("demo",))
FOURTH, FIFTH = "/e/episode_000004", "/e/episode_000005"


class Asked(Requests):
    """Notes what is asked for; everything succeeds at once."""

    def __init__(self, node: Node) -> None:
        super().__init__(node, ARMS, lambda words: None)
        self.all: list[tuple[str, Any]] = []

    def start(self, goal: Any) -> None:
        self.all.append(("start", goal))

    def e_stop(self) -> None:
        self.all.append(("e-stop", None))

    def ask(self, name: str, request: Any = None, then: Any = None, limit_s: float = 0.0) -> None:
        self.all.append((name, request))
        if then is not None:
            then()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.all]


class Desk:
    """A session whose recorder says what it is told to."""

    def __init__(self, node: Node, plan: Plan) -> None:
        self._known = Known(node, ARMS)
        self.asked = Asked(node)
        self.session = Session(plan, self._known, self.asked)

    def recorder(self, state: int = RecorderState.IDLE, path: str = "", last: str = "") -> None:
        self._known.recorder.hear(RecorderState(state=state, path=path, last_path=last))
        self.session.look()

    def kept(self, count: int, last: str) -> None:
        self._known.recorder.hear(RecorderState(kept=count, last_path=last))
        self.session.look()

    def e_stop(self, cause: str) -> None:
        self._known.safety.hear(SafetyState(e_stopped=True, cause=cause))

    def silence(self) -> None:
        self._known.recorder.heard_s = -1e9

    def press(self, keys: str) -> None:
        for key in keys:
            self.session.press(key)


@pytest.fixture(name="desk")
def desk_maker(stands: Callable[..., Any]) -> Callable[..., Desk]:
    node, _ = stands()
    return lambda plan=PLAN: Desk(node, plan)


def test_yes_discards_the_episode_that_was_asked_about_and_no_other(
    desk: Callable[..., Desk],
) -> None:
    here = desk()
    here.recorder(RecorderState.RECORDING, FOURTH)
    here.press("d")
    assert "discard episode_000004?" in here.session.question
    here.recorder(RecorderState.RECORDING, FIFTH, last=FOURTH)  # the fourth ended by its duration
    here.press("y")
    assert here.asked.all == []
    assert here.session.notice == "episode_000004 is not being recorded any more: nothing was done"
    here.press("dy")
    ((name, request),) = here.asked.all
    assert (name, request.path, request.discard) == ("/recorder/stop", FIFTH, True)


@pytest.mark.parametrize("keys", [" ", "s", "f", "dy", "ry"])
def test_every_key_that_ends_a_recording_names_it(desk: Callable[..., Desk], keys: str) -> None:
    here = desk()
    here.recorder(RecorderState.RECORDING, FOURTH)
    here.press(keys)
    assert (here.asked.names[0], here.asked.all[0][1].path) == ("/recorder/stop", FOURTH)


def test_recording_again_is_asked_about_and_r_says_yes_only_for_a_while(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = desk()
    here.recorder(RecorderState.RECORDING, FOURTH)
    here.press("r")
    assert here.session.question.startswith("discard and redo episode_000004? (y, or r within 3 s")
    assert here.asked.all == []
    monkeypatch.setattr(_operator_session, "AGAIN_S", -1.0)
    here.press("nrr")
    assert here.asked.all == []
    assert here.session.notice == "only an answer to the question counts now"
    monkeypatch.undo()
    here.press("nrr")
    assert here.asked.names == ["/recorder/stop", "start"]
    assert here.asked.all[0][1].discard


def test_nothing_is_discarded_for_a_recording_that_the_e_stop_keeps_from_beginning(
    desk: Callable[..., Desk],
) -> None:
    here = desk()
    here.recorder(RecorderState.RECORDING, FOURTH)
    here.press("r")
    here.e_stop("a hand on the button")
    here.press("r")
    assert here.asked.all == []
    assert "not recorded: the e-stop is in force" in here.session.notice


def test_yes_discards_what_was_paused_meanwhile_but_nothing_that_is_closing_or_unheard(
    desk: Callable[..., Desk],
) -> None:
    here = desk()
    here.recorder(RecorderState.RECORDING, FOURTH)
    here.press("d")
    here.recorder(RecorderState.CLOSING, FOURTH)
    here.press("y")
    here.recorder(RecorderState.RECORDING, FOURTH)
    here.press("d")
    here.silence()
    here.press("y")
    assert "the recorder is silent" in here.session.notice
    assert here.asked.all == []
    here.recorder(RecorderState.RECORDING, FOURTH)
    here.press("d")
    here.recorder(RecorderState.PAUSED, FOURTH)
    here.press("y")
    assert here.asked.names == ["/recorder/stop"]


@pytest.mark.parametrize("keys", ["dy", "ry", "lf"])
def test_an_answer_moves_or_labels_the_kept_episode_that_was_asked_about_and_no_other(
    desk: Callable[..., Desk], keys: str
) -> None:
    question, answer = keys
    here = desk()
    here.recorder(last=FOURTH)
    here.press(question)
    assert "episode_000004" in here.session.question
    here.recorder(last=FIFTH)
    here.press(answer)
    assert here.session.notice == "episode_000004 is not the last one any more: nothing was done"
    here.recorder(last=FOURTH)
    here.press(question)
    here.recorder(RecorderState.CLOSING, FIFTH, last=FOURTH)
    here.press(answer)
    assert here.asked.all == []


def test_a_question_about_the_last_episode_can_be_answered_while_the_next_is_recorded(
    desk: Callable[..., Desk],
) -> None:
    here = desk()
    here.recorder(last=FOURTH)
    here.press("l")
    here.recorder(RecorderState.RECORDING, FIFTH, last=FOURTH)
    here.press("u")
    ((name, request),) = here.asked.all
    assert (name, request.path, request.outcome) == ("/recorder/label", FOURTH, "")
    assert request.labels == ["demo"]


def test_the_episode_that_is_shown_as_the_last_is_labelled_by_its_name(
    desk: Callable[..., Desk],
) -> None:
    here = desk()
    here.recorder(last=FOURTH)
    here.press("f")
    ((_, request),) = here.asked.all
    assert (request.path, request.outcome) == (FOURTH, "failure")


def test_text_that_is_typed_into_a_question_runs_no_keys_but_the_e_stop(
    desk: Callable[..., Desk],
) -> None:
    here = desk()
    here.recorder(last=FOURTH)
    here.press("l")
    here.press("bröRkqgpdn 1\n")
    assert here.asked.all == []
    assert "episode_000004: s success" in here.session.question
    assert not here.session.left
    here.press("e")
    assert here.asked.names == ["e-stop"]
    assert "e: E-STOP" in here.session.question
    here.press("\x1b")
    assert (here.session.question, here.session.notice) == ("", "nothing was done")
    assert here.asked.names == ["e-stop"]


@pytest.mark.parametrize("no", ["n", "\x1b"])
def test_a_yes_or_no_question_takes_nothing_else(desk: Callable[..., Desk], no: str) -> None:
    here = desk()
    here.recorder(RecorderState.RECORDING, FOURTH)
    here.press("dsf prlq")
    assert "discard episode_000004?" in here.session.question
    here.press(no)
    assert (here.session.question, here.asked.all) == ("", [])
    here.press("f")
    assert here.asked.names == ["/recorder/stop"]


def test_setting_aside_what_was_there_before_the_tool_is_no_new_episode(
    desk: Callable[..., Desk],
) -> None:
    here = desk(Plan(reset_s=0.0))
    here.kept(3, "/e/2")
    here.kept(2, "/e/1")
    here.kept(2, "/e/1")
    here.kept(1, "/e/0")
    here.kept(1, "/e/0")
    assert (here.session.done, here.session.upcoming) == (0, "")
    here.kept(2, "/e/3")
    assert here.session.done == 1
    assert here.session.upcoming
    here.kept(1, "/e/0")
    assert here.session.done == 0


def test_a_recorder_whose_state_is_heard_before_its_action_is_found_is_asked_all_the_same(
    stands: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = stands()
    told: list[str] = []
    requests = Requests(node, ARMS, told.append)
    found, sent = [False], []

    class Recorder:
        def server_is_ready(self) -> bool:
            return found[0]

        def send_goal_async(self, goal: Any) -> Future:
            sent.append(goal)
            return Future()

    monkeypatch.setattr(requests, "_recorder", Recorder())
    goal = RecordEpisode.Goal(task="insertion")
    requests.start(goal)
    requests.start(goal)
    assert [pending.name for pending in requests.waiting()] == [RECORD]
    requests.look(e_stopped=False)
    assert (sent, told) == ([], [])
    found[0] = True
    for _ in range(2):
        requests.look(e_stopped=False)
    assert (sent, told) == ([goal], [])


def test_a_recorder_that_is_not_found_is_told(
    stands: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aloha_stack.nodes._operator_requests.FIND_S", 0.0)
    node, _ = stands()
    told: list[str] = []
    requests = Requests(node, ARMS, told.append)
    requests.start(RecordEpisode.Goal())
    wait_for(lambda: requests.look(e_stopped=False) or told)
    assert told == [f"nobody answers to {RECORD}: is the recorder running?"]
    assert requests.waiting() == []
