"""The operator's tool on a pseudo-terminal, among live nodes."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aloha_interfaces.msg import ArmStatus, RecorderState, SafetyState, TeleopState

from aloha_stack.episodes.reader import Episode
from aloha_stack.nodes._operator_known import Known
from aloha_stack.nodes._operator_requests import Requests
from aloha_stack.nodes._operator_screen import screen
from aloha_stack.nodes._operator_session import Plan, Session
from aloha_stack.nodes._operator_tally import Tallied
from aloha_stack.nodes._qos import STATE
from aloha_stack.robot.joints import ARMS
from nodes.domains import free_domain
from nodes.operator_rig import Stand, Tool, stand_maker, tool_maker
from nodes.recorder_rig import Graph, graph_maker, wait_for

__all__ = ["graph_maker", "stand_maker", "tool_maker"]  # pytest finds fixtures by their presence


class Safety:
    """Speaks for the safety node, and for teleoperation if it has something to say."""

    def __init__(self, graph: Graph) -> None:
        self._state = graph.client.create_publisher(SafetyState, "/safety/state", STATE)
        self._teleop = graph.client.create_publisher(TeleopState, "/teleop/state", STATE)
        self._message = SafetyState()
        self.teleop: TeleopState | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def say(self, **fields: Any) -> None:
        self._message = SafetyState(**fields)

    def _speak(self) -> None:
        while not self._end.wait(0.05):
            self._state.publish(self._message)
            if self.teleop is not None:
                self._teleop.publish(self.teleop)

    def close(self) -> None:
        self._end.set()
        self._thread.join()


def test_episodes_are_recorded_labelled_and_set_aside_by_keys(
    tmp_path: Path, make_graph: Callable[..., Graph], tools: Callable[..., Tool]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    tool = tools(graph.domain, "--task", "insertion", "--label", "demo", "--episodes", "3")
    tool.sees("recorder        IDLE", "insertion", "0 of 3 episodes", "SPACE", "e E-STOP", "q quit")
    tool.press(" ")
    tool.sees("RECORDING episode_000000", "0 lost")
    tool.press("p")
    tool.sees("PAUSED episode_000000")
    tool.press("p")
    tool.sees("RECORDING episode_000000")
    tool.press("d")
    tool.sees("discard episode_000000?", "y: yes")
    tool.press("n")
    tool.sees("nothing was done", "RECORDING episode_000000")
    tool.press("f")
    tool.sees("recorder        IDLE", "1 of 3 episodes", "episode_000000  failure")
    episode = Episode(tmp_path / "episode_000000")
    assert (episode.info.outcome, episode.info.task) == ("failure", "insertion")
    assert episode.info.labels == ("demo",)
    tool.press("l")
    tool.sees("episode_000000: s success, f failure, u neither")
    tool.press("br 1ö")
    tool.sees("only an answer to the question counts now", "recorder        IDLE")
    tool.press("s")
    tool.sees("episode_000000  success")
    assert Episode(tmp_path / "episode_000000").info.outcome == "success"
    tool.press("r")
    tool.sees("set aside and redo episode_000000?")
    tool.press("y")
    tool.sees("RECORDING episode_000001", "0 of 3 episodes")
    assert (tmp_path / "discarded" / "episode_000000").is_dir()
    tool.press("q")
    tool.sees("quit? (y: yes")
    tool.press("y")
    assert tool.process.wait(10.0) == 0
    assert tool.restored
    assert graph.recorder.take is not None  # it goes on


def test_nothing_is_recorded_while_the_e_stop_is_in_force(
    tmp_path: Path, make_graph: Callable[..., Graph], tools: Callable[..., Tool]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    says = Safety(graph)
    tool = tools(graph.domain)
    says.say(e_stopped=True, cause="a hand on the button")
    tool.sees("recorder        IDLE", "STOPPED: a hand on the button")
    tool.press(" ")
    tool.sees("not recorded: the e-stop is in force (a hand on the button)")
    assert graph.recorder.take is None
    says.say(e_stopped=False)
    tool.sees("not stopped")
    tool.press(" ")
    tool.sees("RECORDING episode_000000")
    assert "NOTHING MOVES" not in tool.frame
    says.say(e_stopped=True, cause="a hand on the button")
    tool.sees("NOTHING MOVES: the e-stop is in force (a hand")
    tool.press("r")
    tool.sees("not recorded: the e-stop", "RECORDING episode_000000")
    tool.press("f")
    tool.sees("recorder        IDLE", "episode_000000  failure")
    says.close()


def test_who_records_before_teleoperation_is_engaged_is_warned(
    tmp_path: Path, make_graph: Callable[..., Graph], tools: Callable[..., Tool]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    says = Safety(graph)
    tool = tools(graph.domain)
    says.teleop = TeleopState(state=TeleopState.MATCHING, reason="squeeze")
    tool.sees("recorder        IDLE", "not stopped", "MATCHING")
    tool.press(" ")
    tool.sees("RECORDING episode_000000", "NOTHING MOVES: teleoperation is not engaged: squeeze")
    says.teleop = TeleopState(state=TeleopState.ENGAGED)
    wait_for(lambda: "ENGAGED" in tool.frame and "NOTHING MOVES" not in tool.frame)
    says.close()


def test_the_next_episode_begins_by_itself_once_teleoperation_is_engaged(
    tmp_path: Path, make_graph: Callable[..., Graph], tools: Callable[..., Tool]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    teleop = graph.client.create_publisher(TeleopState, "/teleop/state", STATE)
    options = ("--episodes", "2", "--reset-time", "0.2", "--duration", "0.2")
    tool = tools(graph.domain, *options)
    tool.sees("recorder        IDLE")
    tool.press(" ")
    tool.sees("1 of 2 episodes", "as soon as teleoperation is engaged")

    def engaged() -> bool:
        teleop.publish(TeleopState(state=TeleopState.ENGAGED))
        return "2 of 2 episodes" in tool.frame

    wait_for(engaged)
    time.sleep(0.5)
    assert "next episode" not in tool.frame
    assert graph.recorder.take is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_terminal_is_as_it_was_after_a_signal(
    number: int, stands: Callable[..., tuple[Stand, int]], tools: Callable[..., Tool]
) -> None:
    _, domain = stands()
    tool = tools(domain)
    tool.sees("recorder        missing")
    assert not tool.restored
    tool.process.send_signal(number)
    assert tool.process.wait(10.0) == 0
    assert tool.restored
    assert tool.text.endswith("\x1b[?25h\x1b[?1049l")


def test_the_arms_of_a_robot_are_shown_without_its_ports(
    tools: Callable[..., Tool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALOHA_PORTS", raising=False)
    tool = tools(free_domain(), "--robot", "twin")
    tool.sees("leader_left     missing", "follower_right  missing")


def test_who_falls_silent_is_shown_as_silent_and_shown_again_when_he_is_back(
    stands: Callable[..., tuple[Stand, int]], tools: Callable[..., Tool]
) -> None:
    stand, domain = stands()
    recording = RecorderState(state=RecorderState.RECORDING, path="/x/episode_000004")
    stand.recorder = recording
    stand.arm = ArmStatus(arm="follower_left", mode=ArmStatus.FAULT, reason="no power")
    tool = tools(domain)
    tool.sees("RECORDING episode_000004", "FAULT", "no power", "leader_left     missing")
    stand.recorder = stand.arm = None
    tool.sees("recorder        silent for", "follower_left   silent for")
    assert "RECORDING" not in tool.frame
    assert "no power" not in tool.frame
    tool.press(" ")
    tool.sees("the recorder is silent for", "nothing was done")
    stand.recorder = RecorderState()
    tool.sees("recorder        IDLE")


def test_the_e_stop_acts_while_another_request_hangs_and_a_question_is_open(
    stands: Callable[..., tuple[Stand, int]], tools: Callable[..., Tool]
) -> None:
    stand, domain = stands("/e_stop", "/follower_left/e_stop", hanging=("/recorder/stop",))
    stand.recorder = RecorderState(state=RecorderState.RECORDING, path="/x/episode_000004")
    tool = tools(domain)
    tool.sees("RECORDING")
    tool.press("s")
    tool.sees("waiting for /recorder/stop")
    tool.press("d")
    tool.sees("discard episode_000004?")
    tool.press("e")
    wait_for(lambda: "/e_stop" in stand.called)
    tool.sees("waiting for /recorder/stop")
    # It answers, but no state of the safety node tells of a stop: every arm is asked.
    wait_for(lambda: "/follower_left/e_stop" in stand.called)


def test_without_a_safety_node_the_e_stop_goes_to_each_arm(
    stands: Callable[..., tuple[Stand, int]], tools: Callable[..., Tool]
) -> None:
    stand, domain = stands("/follower_left/e_stop", "/leader_left/e_stop")
    stand.recorder = RecorderState()
    tool = tools(domain)
    tool.sees("recorder        IDLE", "the safety node is missing")
    tool.press("e")
    wait_for(lambda: len(stand.called) == 2)
    assert sorted(stand.called) == ["/follower_left/e_stop", "/leader_left/e_stop"]


def test_without_a_terminal_changes_are_lines_and_keys_come_from_standard_input(
    tmp_path: Path, make_graph: Callable[..., Graph], tools: Callable[..., Tool]
) -> None:
    graph = make_graph(tmp_path)
    graph.wait_for_streams()
    tool = tools(graph.domain, terminal=False)
    keys = tool.process.stdin
    assert keys is not None
    tool.tells("IDLE")
    keys.write(b" \n")
    keys.flush()
    tool.tells("RECORDING episode_000000")
    keys.write(b"s\n")
    keys.flush()
    tool.tells("1 kept")
    assert "\x1b" not in tool.text
    keys.write(b"q")
    keys.flush()
    assert tool.process.wait(10.0) == 0
    assert Episode(tmp_path / "episode_000000").info.outcome == "success"


def test_episodes_are_counted_through_discards_and_a_recorder_that_is_started_anew() -> None:
    tallied = Tallied()

    def state(kept: int, last: str, outcome: str = "success") -> bool:
        return tallied.saw(RecorderState(kept=kept, last_path=last, last_outcome=outcome))

    assert not state(3, "/e/2")  # kept before the tool was started
    assert state(4, "/e/3")
    assert not state(4, "/e/3", "failure")
    assert tallied.episodes == {"/e/3": "failure"}
    assert state(5, "/e/4")
    assert not state(4, "/e/3")
    assert list(tallied.episodes) == ["/e/3"]
    tallied.missing()
    assert not state(0, "")
    assert list(tallied.episodes) == ["/e/3"]
    assert state(1, "/e/5")
    assert list(tallied.episodes) == ["/e/3", "/e/5"]


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (20, 3), (200, 60)])
def test_the_screen_fits_any_terminal_and_keeps_its_keys(
    stands: Callable[..., tuple[Stand, int]], columns: int, rows: int
) -> None:
    stand, _ = stands()
    known = Known(stand, ARMS)
    requests = Requests(stand, ARMS, lambda words: None)
    session = Session(Plan("transfer_cube"), known, requests)
    state = RecorderState(message="much to say; " * 30, silent=["/a"] * 30)
    known.recorder.hear(state)
    known.arms["leader_left"].hear(ArmStatus(reason="line\nbreak \x1b[2J"))
    lines = screen(known, session, requests, columns, rows)
    assert len(lines) <= rows
    assert all(len(text) <= columns and text.isprintable() for _, text in lines)
    assert lines[-1][1].startswith("e E-STOP")
