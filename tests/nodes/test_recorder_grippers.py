"""Episodes by the leaders' grippers, through a real recorder."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aloha_interfaces.msg import ArmStatus, TeleopState
from rclpy.node import Node
from rclpy.parameter import Parameter

from aloha_stack.control.teleop import TeleopStage
from aloha_stack.episodes.reader import Episode
from aloha_stack.nodes._qos import STATE
from aloha_stack.nodes.teleop import Teleop
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import ARMS, LEADERS
from nodes.arm_rig import spinning
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
    before = graph.state.messages
    wait_for(lambda: graph.state.messages > before + 300)  # long enough to be seen open
    hands.open(0.0)
    wait_for(lambda: graph.state.kept == 1)
    episode = Episode(tmp_path / "episode_000000")
    assert (episode.info.outcome, episode.info.task) == ("", "insertion")
    began_ns = int(episode.info.notes["gesture_began_ns"])
    held = [r for r in episode.records(["/leader_left/joint_states"]) if r.publish_ns > began_ns]
    assert len(held) > 15  # nothing was cut
    hands.say(TeleopState.ENGAGED)
    assert graph.recorder.take is None


class Arms(Node):
    """The followers, who stay at their start pose and are ready; the leaders' bridges."""

    def __init__(self, graph: Graph) -> None:
        super().__init__("arms")
        self._robot, self._end = load_robot("twin"), threading.Event()
        graph.robot.poses = {
            arm.name: list(arm.start_pose[:6]) for arm in self._robot.arms.values()
        }
        self._status = {a: self.create_publisher(ArmStatus, f"/{a}/status", STATE) for a in ARMS}
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def _speak(self) -> None:
        while not self._end.wait(0.05):
            for arm, status in self._status.items():
                leads = arm in LEADERS
                mode = ArmStatus.BACK_DRIVEN if leads else ArmStatus.FOLLOWING
                status.publish(ArmStatus(arm=arm, mode=mode))

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self.destroy_node()


def test_episode_after_episode_is_recorded_with_both_hands_on_the_leaders(
    tmp_path: Path, make_graph: Callable[..., Graph]
) -> None:
    """A real teleoperation: closing engages and begins, holding closed ends and disengages."""
    graph = by_grippers(make_graph, tmp_path, stop_hold=0.4)
    arms = Arms(graph)
    given = {"robot": "twin", "ramp_speed": 2.0, "max_state_age": 1.0}
    teleop = Teleop(parameter_overrides=[Parameter(n, value=v) for n, v in given.items()])
    gripper = load_robot("twin").arm(LEADERS[0]).gripper

    def hands(opening: float) -> None:
        angle = float(gripper.unnormalise_joint(opening))
        graph.robot.grippers.update(dict.fromkeys(LEADERS, angle))

    with spinning(teleop):
        for number in range(2):
            hands(1.0)
            wait_for(lambda: teleop._teleop.reason.startswith("matched: squeeze"), 20.0)
            hands(0.0)
            wait_for(lambda: graph.recorder.take is not None)
            hands(1.0)
            time.sleep(0.3)
            assert graph.recorder.take is not None
            hands(0.0)
            wait_for(lambda n=number: graph.state.kept == n + 1)
            wait_for(lambda: teleop._teleop.stage == TeleopStage.MATCHING)
            time.sleep(0.3)
            assert graph.recorder.take is None  # still squeezed: that begins nothing
        teleop.close()
        teleop.time.close()
    teleop.destroy_node()
    arms.close()


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
