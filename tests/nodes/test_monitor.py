"""The monitor in a graph: it follows who comes, falls silent and comes back, on its own clock."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aloha_interfaces.msg import ArmStatus, RobotSummary, SafetySummary
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes import _diagnostics
from aloha_stack.nodes._executor import LookingExecutor
from aloha_stack.nodes._qos import IMAGES
from aloha_stack.nodes.monitor import Monitor
from aloha_stack.nodes.safety import Safety
from aloha_stack.robot.joints import ARMS
from nodes.arm_rig import LATCHED, call, ros, spinning, wait_for, with_parameters

STALE_S = 0.6


class Robot(Node):
    """Says what bridges, a camera and teleoperation say; keeps the summaries."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.heard: list[RobotSummary] = []
        self.frames = 0
        self.create_subscription(RobotSummary, "/monitor/summary", self.heard.append, 10)
        self._status = {a: self.create_publisher(ArmStatus, f"/{a}/status", LATCHED) for a in ARMS}
        self._command = self.create_publisher(JointTrajectory, "/follower_left/command", 1)
        self._info = self.create_publisher(CameraInfo, "/cam_high/camera_info", IMAGES)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def speak(self) -> None:
        for arm, publisher in self._status.items():
            publisher.publish(ArmStatus(arm=arm, mode=int(Mode.INACTIVE)))
        self._command.publish(JointTrajectory())
        self.frames += 1
        info = CameraInfo()
        info.header.stamp.sec, info.header.stamp.nanosec = divmod(self.frames * 20_000_000, 10**9)
        self._info.publish(info)

    def burst(self, count: int) -> None:
        for k in range(count):
            status = DiagnosticStatus(name=f"node_{k}: task")
            self._diagnostics.publish(DiagnosticArray(status=[status]))

    def until(self, condition: Any) -> RobotSummary:
        """The first summary from now on for which it holds, while this robot speaks."""
        self.heard.clear()

        def holds() -> bool:
            self.speak()
            time.sleep(0.02)
            return any(condition(summary) for summary in self.heard[-3:])

        wait_for(holds)
        return next(summary for summary in reversed(self.heard) if condition(summary))


@contextlib.contextmanager
def safety() -> Iterator[Safety]:
    node = Safety(parameter_overrides=with_parameters(robot="twin", answer_time=0.1))
    with spinning(node):
        try:
            yield node
        finally:
            node.close()
    node.time.close()
    node.destroy_node()


@pytest.fixture
def robot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Robot]:
    """With a monitor whose clock is simulated and stands still: there is no /clock."""
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    monkeypatch.setattr(_diagnostics, "PERIOD_S", 0.1)
    given = with_parameters(
        robot="twin", stale_time=STALE_S, node_stale_time=1.5, use_sim_time=True
    )
    with ros():
        node, made = Monitor(parameter_overrides=given), Robot()
        with spinning(node, executor=LookingExecutor(20.0)), spinning(made):
            yield made
        for one in (node, made):
            one.destroy_node()


def test_it_follows_who_comes_falls_silent_and_comes_back(robot: Robot) -> None:
    alone = robot.until(lambda s: all(not arm.stale for arm in s.arms))
    assert alone.safety.e_stopped == SafetySummary.UNKNOWN
    assert (alone.level, alone.message.partition(":")[0]) == (RobotSummary.ERROR, "safety")
    assert alone.clock_rate == 0.0
    with safety():
        well = robot.until(
            lambda s: (
                s.level == RobotSummary.OK
                and s.cameras[0].state == "streaming"
                and {"safety", "monitor"} <= {n.name for n in s.nodes if not n.stale}
            )
        )
        assert (well.message, well.safety.state) == ("all is well", "running")
        assert well.arms[2].name == "follower_left"
        assert well.arms[2].command_age < STALE_S
        assert well.cameras[1].reason == "missing"
        call(robot, "/e_stop")
        stopped = robot.until(lambda s: s.safety.e_stopped == SafetySummary.YES)
        assert "/e_stop" in stopped.message
    gone = robot.until(lambda s: s.safety.stale)
    assert gone.safety.e_stopped == SafetySummary.UNKNOWN
    assert gone.safety.cause == ""
    robot.until(lambda s: any(n.name == "safety" and n.stale for n in s.nodes))
    with safety():
        robot.until(lambda s: s.safety.e_stopped == SafetySummary.NO)
    silent = robot.heard[-1]
    robot.heard.clear()
    wait_for(lambda: robot.heard and all(arm.stale for arm in robot.heard[-1].arms))
    assert robot.heard[-1].count > silent.count, "it goes on though nobody speaks, nor any clock"
    wait_for(lambda: robot.heard[-1].cameras[0].reason == "silent")  # its last picture was newer


def test_no_status_of_many_that_come_at_once_is_left_out(robot: Robot) -> None:
    robot.until(lambda s: True)
    names = {f"node_{k}" for k in range(60)}
    robot.burst(60)
    wait_for(lambda: names <= {node.name for node in robot.heard[-1].nodes})
