"""Time, parameters, executor and life cycle that all nodes share."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rclpy.exceptions import InvalidParameterValueException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from aloha_stack.nodes._chosen_cameras import with_chosen_cameras
from aloha_stack.nodes._node import ManagedNode, logged
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._time import RosTime
from aloha_stack.policies.policy import PolicyError
from aloha_stack.policies.seen_cameras import seen_cameras
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import CAMERAS
from nodes.arm_rig import call, ros, spinning, wait_for
from nodes.domains import free_domain

MS = 1_000_000


@pytest.fixture
def graph() -> Iterator[None]:
    with ros():
        yield


class World(Node):
    """Publishes /clock as told."""

    def __init__(self) -> None:
        super().__init__("world")
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.clock = self.create_publisher(Clock, "/clock", best_effort)

    def show(self, time_ms: int, node: Node) -> None:
        """Until `node` has heard it."""
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(time_ms * MS, 1_000_000_000)

        def heard() -> bool:
            self.clock.publish(message)
            return bool(node.get_clock().now().nanoseconds == time_ms * MS)

        wait_for(heard)


@pytest.fixture
def simulated(graph: None) -> Iterator[tuple[Node, World]]:
    node = Node("sleeper", parameter_overrides=[Parameter("use_sim_time", value=True)])
    world = World()
    with spinning(node):
        yield node, world
    node.destroy_node()
    world.destroy_node()


def sleeping(
    time_: RosTime, deadline_ms: int, wake: threading.Event
) -> tuple[threading.Thread, list]:
    results: list[bool] = []
    thread = threading.Thread(
        target=lambda: results.append(time_.sleep_until(deadline_ms * MS, wake))
    )
    thread.start()
    return thread, results


def test_a_sleeper_wakes_when_the_clock_gets_there(simulated: tuple[Node, World]) -> None:
    node, world = simulated
    time_, wake = RosTime(node), threading.Event()
    world.show(1000, node)
    thread, results = sleeping(time_, 1050, wake)
    world.show(1040, node)
    time.sleep(0.05)
    assert thread.is_alive()
    world.show(1050, node)
    thread.join(5)
    assert results == [True]
    assert time_.now_ns() == 1050 * MS


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleeper that nobody rouses does not look around."""
    monkeypatch.setattr("aloha_stack.nodes._time.LOOK_AROUND_S", 60.0)


def test_a_sleeper_is_roused_while_the_clock_stands_still(
    simulated: tuple[Node, World], never_looks: None
) -> None:
    node, world = simulated
    time_, wake = RosTime(node), threading.Event()
    world.show(1000, node)
    thread, results = sleeping(time_, 9000, wake)
    wait_for(lambda: time_._deadline_ns)
    time_.poke(wake)
    thread.join(15)
    assert results == [False]


def test_a_clock_that_runs_backwards_rouses_a_sleeper(
    simulated: tuple[Node, World], never_looks: None
) -> None:
    node, world = simulated
    time_, wake = RosTime(node), threading.Event()
    world.show(5000, node)
    thread, results = sleeping(time_, 6000, wake)
    wait_for(lambda: time_._deadline_ns)
    world.show(10, node)
    thread.join(15)
    assert results == [False]


def test_without_simulation_it_is_the_machines_clock(graph: None) -> None:
    node = Node("sleeper")
    time_ = RosTime(node)
    assert not time_.simulated
    started = time.time_ns()
    assert time_.sleep(0.03, threading.Event())
    assert time.time_ns() - started >= 29 * MS
    node.destroy_node()


@pytest.mark.parametrize("ahead_ms", [10, 60_000])
def test_a_machines_clock_that_is_set_back_rouses_a_sleeper(
    graph: None, never_looks: None, monkeypatch: pytest.MonkeyPatch, ahead_ms: int
) -> None:
    node = Node("sleeper")
    time_, shown_ms, read_ms = RosTime(node), [5000], []

    def now_ns() -> int:
        read_ms.append(shown_ms[0])
        return read_ms[-1] * MS

    monkeypatch.setattr(time_, "now_ns", now_ns)
    thread, results = sleeping(time_, 5000 + ahead_ms, threading.Event())
    wait_for(lambda: read_ms)
    shown_ms[0] = 3000
    thread.join(15)
    assert results == [False]
    time_.close()
    node.destroy_node()


def test_messages_do_not_wait_behind_a_service(simulated: tuple[Node, World]) -> None:
    node, world = simulated
    asked, answer = threading.Event(), threading.Event()

    def serve(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        asked.set()
        response.success = answer.wait(10)
        return response

    node.create_service(Trigger, "/slow", serve)
    caller = Node("caller")
    answers: list[bool] = []
    with spinning(caller):
        thread = threading.Thread(target=lambda: answers.append(call(caller, "/slow").success))
        thread.start()
        wait_for(asked.is_set)
        world.show(2000, node)  # /clock is heard meanwhile
        answer.set()
        thread.join(5)
    assert answers == [True]
    caller.destroy_node()


def test_parameters_are_described_bounded_and_read_only(graph: None) -> None:
    node = Node("one", parameter_overrides=[Parameter("speed", value=0.5)])
    assert declare(node, "speed", 0.1, "rad/s", (0.0, 1.0)) == 0.5
    described = node.describe_parameter("speed")
    assert (described.description, described.read_only) == ("rad/s", True)
    assert described.floating_point_range[0].to_value == 1.0
    with pytest.raises(InvalidParameterValueException, match="width"):
        declare(node, "width", 700, "pixels", (1, 640))
    with pytest.raises(ValueError, match="/one: parameter 'arm' must be given: which arm"):
        declare(node, "arm", str, "which arm")
    node.destroy_node()


class Moody(ManagedNode):
    """Fails to configure until `mood` is good."""

    mood = ""

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        if not self.mood:
            raise RuntimeError("in a bad mood")
        return super().on_configure(state)


def test_a_callback_that_raises_is_logged_and_may_be_tried_again(
    graph: None, capfd: pytest.CaptureFixture[str]
) -> None:
    node = Moody("moody")
    assert not node.transition("configure")
    assert node.state == "unconfigured"
    assert "RuntimeError: in a bad mood" in capfd.readouterr().err
    assert not node.transition("activate")
    node.mood = "good"
    assert node.transition("configure")
    assert node.transition("activate")
    assert node.state == "active"
    node.close()
    assert node.state == "finalized"
    node.destroy_node()


PROGRAM = """
import sys
from aloha_stack.nodes._node import SimpleNode, run

class Talker(SimpleNode):
    def __init__(self):
        super().__init__("talker")
        self.create_timer(0.01, self.talk)
        print("up", flush=True)
    def talk(self):
        if "{trouble}":
            raise RuntimeError("{trouble}")
    def close(self):
        print("closed", flush=True)

sys.exit(run(Talker))
"""


def program(trouble: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(trouble=trouble)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"ROS_DOMAIN_ID": str(free_domain())},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_process_in_order(number: signal.Signals) -> None:
    process = program()
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "closed\n")


def test_a_callback_that_raises_ends_the_process_with_status_1() -> None:
    process = program("no way")
    out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "up\nclosed\n")
    assert "RuntimeError: no way" in error


@pytest.mark.parametrize(
    ("words", "cameras"),
    [
        ("cam_low, cam_high", ("cam_low", "cam_high")),
        ("of:{folder}/model", ("cam_high", "cam_left_wrist")),
        *((words, CAMERAS) for words in ("", "all", "of:", "of:{folder}/blind", "of:{folder}/no")),
    ],
)
def test_cameras_are_chosen_by_name_or_by_the_checkpoint_that_sees_them(
    graph: None, tmp_path: Path, words: str, cameras: tuple[str, ...]
) -> None:
    for name, seen in (("model", ["cam_high", "cam_left_wrist"]), ("blind", [])):
        (tmp_path / name).mkdir()
        described = {"spec": {"cameras": seen}}
        (tmp_path / name / "config.json").write_text(json.dumps(described))
    given = [Parameter("camera_names", value=words.format(folder=tmp_path))]
    node = Node("looks_on", parameter_overrides=given)
    chosen = with_chosen_cameras(node, load_robot("twin", {"ALOHA_PORTS": "none"}))
    node.destroy_node()
    assert tuple(chosen.cameras) == cameras


@pytest.mark.parametrize("spec", ["[]", "{}", '{"spec": {"cameras": "cam_high"}}', "{"])
def test_a_checkpoint_that_does_not_say_what_it_sees_is_named(tmp_path: Path, spec: str) -> None:
    (tmp_path / "config.json").write_text(spec)
    with pytest.raises(PolicyError, match=str(tmp_path / "config.json")):
        seen_cameras(tmp_path)
