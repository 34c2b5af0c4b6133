"""The twin's node as a process: its clock, its task, its services, its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from aloha_interfaces.msg import TaskState
from aloha_interfaces.srv import InjectFault, ResetTask
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from aloha_stack.graph import Domain
from aloha_stack.nodes._jobs import Refused
from aloha_stack.nodes._qos import CLOCK
from aloha_stack.nodes.twin import TwinNode
from nodes.arm_rig import call, spinning, wait_for


class Twin:
    """A running twin, and a node that listens to it."""

    def __init__(self, ports: Path, domain: int, *parameters: str) -> None:
        arguments = [piece for parameter in parameters for piece in ("-p", parameter)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aloha_stack.nodes.twin", "--ros-args", *arguments],
            env={**os.environ, "ALOHA_PORTS": str(ports), "ROS_DOMAIN_ID": str(domain)},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.node = Node("listener")
        self.clock_ns: list[int] = []
        self.states: list[TaskState] = []
        self.node.create_subscription(Clock, "/clock", self._on_clock, CLOCK)
        self.node.create_subscription(TaskState, "/task/state", self.states.append, 5)

    def _on_clock(self, message: Clock) -> None:
        self.clock_ns.append(message.clock.sec * 1_000_000_000 + message.clock.nanosec)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


@pytest.fixture
def domain() -> Iterator[int]:
    held = Domain()
    rclpy.init(domain_id=held.number)
    yield held.number
    rclpy.try_shutdown()
    held.release()


def test_the_twin_gives_time_tells_the_task_and_leaves_in_order(tmp_path, domain):
    twin = Twin(tmp_path, domain, "seed:=3")
    try:
        with spinning(twin.node):
            wait_for(lambda: len(twin.clock_ns) > 100 and twin.states, 30)
            # The world's steps are 2 ms, so that every second message comes 1 ms late.
            steps = [b - a for a, b in zip(twin.clock_ns, twin.clock_ns[1:], strict=False)]
            assert all(step > 0 for step in steps)
            assert sorted(steps)[len(steps) // 2] in (4_000_000, 5_000_000, 6_000_000)
            state = twin.states[0]
            assert (state.task, state.seed, state.max_reward) == ("transfer_cube", 3, 4)
            assert state.operator_state == "homing"
            assert 0.0 < state.real_time_factor <= 1.05

            refused = call(twin.node, "/twin/perform", Trigger)
            if not refused.success:  # else homing was over before it was asked
                assert "not ready" in refused.message
            else:
                assert "the operator performs 'transfer_cube'" in refused.message
                wait_for(lambda: twin.states[-1].operator_state != "homing", 30)

            assert call(twin.node, "/twin/reset", ResetTask, seed=8).success
            wait_for(lambda: twin.states[-1].seed == 8)
            assert twin.states[-1].episode == state.episode + 1
            refused = call(twin.node, "/twin/reset", ResetTask, seed=-4)
            assert not refused.success
            assert "seed must lie in" in refused.message
    finally:
        status = twin.end()
    assert status == 0
    assert not list(tmp_path.glob("ttyDXL_*"))


def test_faults_are_injected_by_service_and_what_makes_no_sense_is_explained(tmp_path, domain):
    twin = Twin(tmp_path, domain, "operator:=false")
    link = tmp_path / "ttyDXL_leader_left"
    try:
        with spinning(twin.node):
            wait_for(link.is_symlink, 30)

            def inject(**request: Any) -> Any:
                return call(twin.node, "/twin/inject_fault", InjectFault, **request)

            for request, words in (
                ({"arm": "leader_left", "fault": "gremlins"}, "no fault 'gremlins'; there is lost"),
                ({"arm": "leader_middle", "fault": "brown_out"}, "no arm 'leader_middle'"),
                ({"arm": "leader_left", "fault": "dead_servo"}, "give its ID"),
                ({"arm": "leader_left", "fault": "dead_servo", "servo": 10}, "no servo 10"),
            ):
                response = inject(**request)
                assert not response.success
                assert words in response.message
            response = inject(arm="leader_left", fault="unplugged")
            assert response.success
            assert "hangs up" in response.message
            wait_for(lambda: not link.is_symlink())
            assert inject(fault="clear").success
            wait_for(link.is_symlink)
    finally:
        assert twin.end() == 0


def test_the_twin_stays_while_a_port_is_open(tmp_path, domain):
    twin = Twin(tmp_path, domain, "operator:=false")
    try:
        with spinning(twin.node):
            wait_for(lambda: len(twin.clock_ns) > 10, 30)
            port = os.open(tmp_path / "ttyDXL_follower_left", os.O_RDWR | os.O_NOCTTY)
            twin.process.send_signal(signal.SIGINT)
            before = len(twin.clock_ns)
            wait_for(lambda: len(twin.clock_ns) > before + 300)
            assert twin.process.poll() is None
            os.close(port)
            assert twin.process.wait(20) == 0
    finally:
        twin.process.kill()


@pytest.mark.parametrize(
    ("parameter", "words"),
    [("task:=juggling", "no task 'juggling'"), ("robot:=alhoa", "no robot 'alhoa'")],
)
def test_unknown_names_end_the_twin_with_status_2(tmp_path, domain, parameter, words):
    twin = Twin(tmp_path, domain, parameter)
    _, errors = twin.process.communicate(timeout=30)
    assert twin.process.returncode == 2
    assert words in errors


def test_two_twins_never_share_a_folder(tmp_path, domain):
    first = Twin(tmp_path, domain)
    try:
        with spinning(first.node):
            wait_for(lambda: first.clock_ns, 30)
            second = Twin(tmp_path, domain)
            _, errors = second.process.communicate(timeout=30)
            second.node.destroy_node()
            assert second.process.returncode == 2
            for word in (str(tmp_path), "ALOHA_PORTS", "ROS_DOMAIN_ID"):
                assert word in errors
            assert (tmp_path / "ttyDXL_follower_left").exists()
    finally:
        assert first.end() == 0


@pytest.fixture
def idle_node(tmp_path, domain, monkeypatch):
    """A twin's node in this process that tells nothing of the task unasked."""
    monkeypatch.setenv("ALOHA_PORTS", str(tmp_path))
    monkeypatch.setattr(TwinNode, "_publish", lambda node: None)
    node = TwinNode()
    yield node
    node.close()
    node.time.close()
    node.destroy_node()


def test_a_reset_is_told_before_it_is_answered(idle_node, monkeypatch):
    told: list[TaskState] = []
    monkeypatch.setattr(idle_node, "_task_publisher", SimpleNamespace(publish=told.append))
    answer = idle_node._on_reset(ResetTask.Request(seed=8), ResetTask.Response())
    assert (answer.success, answer.message) == (True, "objects placed by seed 8")
    assert told[-1].seed == 8


def test_who_asks_for_a_performance_hears_of_what_and_how_long(idle_node, monkeypatch):
    operator = idle_node._simulation.operator
    monkeypatch.setattr(operator, "perform", lambda: 11.96)
    answer = idle_node._on_perform(Trigger.Request(), Trigger.Response())
    words = "the operator performs 'transfer_cube' in the world of seed 0: 12.0 s of model time"
    assert (answer.success, answer.message) == (True, words)
    monkeypatch.setattr(idle_node._simulation, "operator", None)
    answer = idle_node._on_perform(Trigger.Request(), Trigger.Response())
    assert "there is no operator" in answer.message


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failing_request_is_answered_and_ends_the_node(tmp_path, domain, monkeypatch):
    monkeypatch.setenv("ALOHA_PORTS", str(tmp_path))
    node = TwinNode()
    try:

        def broken() -> None:
            raise RuntimeError("the world is broken")

        with pytest.raises(Refused, match="the world is broken"):
            node._jobs.ask(broken, 10.0)
        wait_for(lambda: node.finished)
        assert isinstance(node.failure, RuntimeError)
    finally:
        node.close()
        node.time.close()
        node.destroy_node()
