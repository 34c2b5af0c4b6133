"""Episodes by the leaders' grippers, through a real recorder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aloha_interfaces.msg import TeleopState

from aloha_stack.episodes.reader import Episode
from aloha_stack.nodes._qos import STATE
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import LEADERS
from nodes.recorder_rig import Graph, graph_maker, wait_for

__all__ = ["graph_maker"]  # pytest finds the fixture by its presence here


class Hands:
    """The leaders' handles, and what teleoperation says of them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._state = graph.client.create_publisher(TeleopState, "/teleop/state", STATE)
        self._gripper = load_robot("twin").arm(LEADERS[0]).gripper
        wait_for(lambda: self._state.get_subscription_count() > 0)

    def say(self, stage: int) -> None:
        tap = self._graph.recorder.taps.find("/teleop/state")
        assert tap is not None
        before = tap.latest
        self._state.publish(TeleopState(state=stage))
        wait_for(lambda: tap.latest is not before)
        told = len(self._graph.states)
        wait_for(lambda: len(self._graph.states) > told)  # so that it was looked at

    def open(self, opening: float) -> None:
        angle = float(self._gripper.unnormalise_joint(opening))
        self._graph.robot.grippers.update(dict.fromkeys(LEADERS, angle))


def by_grippers(make_graph: Callable[..., Graph], directory: Path, **more: Any) -> Graph:
    graph = make_graph(directory, start_on_engage=True, task="insertion", **more)
    graph.wait_for_streams()
    wait_for(lambda: graph.state.silent == [])
    return graph


def test_engaging_begins_an_episode_and_held_handles_end_it(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = by_grippers(make_graph, tmp_path, stop_hold=0.3)
    hands = Hands(graph)
    hands.open(0.0)
    hands.say(TeleopState.MATCHING)
    assert graph.recorder.take is None
    hands.say(TeleopState.ENGAGED)
    wait_for(lambda: graph.recorder.take is not None)
    hands.say(TeleopState.ENGAGED)
    assert graph.state.task == "insertion"  # closed from the beginning: nothing ends
    hands.open(1.0)
    wait_for(lambda: graph.state.messages > 100)
    hands.open(0.0)
    wait_for(lambda: graph.state.kept == 1)
    episode = Episode(tmp_path / "episode_000000")
    assert (episode.info.outcome, episode.info.task) == ("", "insertion")
    began_ns = int(episode.info.notes["gesture_began_ns"])
    held = [r for r in episode.records(["/leader_left/joint_states"]) if r.publish_ns > began_ns]
    assert len(held) > 15  # nothing was cut
    hands.say(TeleopState.ENGAGED)
    assert graph.recorder.take is None


def test_without_start_on_engage_the_grippers_do_nothing(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    graph = make_graph(tmp_path, stop_hold=0.1)
    graph.wait_for_streams()
    hands = Hands(graph)
    hands.say(TeleopState.MATCHING)
    hands.say(TeleopState.ENGAGED)
    assert graph.recorder.take is None


def test_a_gesture_in_vain_is_told(tmp_path: Path, make_graph: Callable[..., Graph]) -> None:
    graph = make_graph(tmp_path, silent=("/cam_low/image_raw/compressed",), start_on_engage=True)
    graph.wait_for_streams(9)
    hands = Hands(graph)
    hands.say(TeleopState.MATCHING)
    hands.say(TeleopState.ENGAGED)
    wait_for(lambda: "recording refused: nothing was received" in graph.state.message)
