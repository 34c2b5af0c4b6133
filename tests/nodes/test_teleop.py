"""Four bridges on virtual servos, safety and teleop: leaders lead, followers follow."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aloha_interfaces.msg import ArmStatus, TeleopState
from rclpy.node import Node
from sensor_msgs.msg import JointState

from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.teleop import TeleopStage
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes.arm_bridge import ArmBridge
from aloha_stack.nodes.safety import Safety
from aloha_stack.nodes.teleop import Teleop
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import ARMS, FOLLOWERS, JOINTS, LEADERS, leader_of
from aloha_stack.twin.virtual_bench import BenchArm
from aloha_stack.twin.virtual_port import VirtualPort, serving
from nodes.arm_rig import LATCHED, call, ros, spinning, wait_for, with_parameters

OPEN, SQUEEZED = 0.1, -0.5


class Operator(Node):
    """Hands on the leaders, eyes on the followers."""

    def __init__(self, servos: dict[str, BenchArm]) -> None:
        super().__init__("operator")
        self.servos = servos
        self.heard: list[TeleopState] = []
        self.create_subscription(TeleopState, "/teleop/state", self.heard.append, LATCHED)

    @property
    def stage(self) -> TeleopStage | None:
        return TeleopStage(self.heard[-1].state) if self.heard else None

    def hands(self, gripper: float, offset: float = 0.0) -> None:
        for name in LEADERS:
            place = np.array(self.servos[name].arm.start_pose) + offset
            place[-1] = gripper
            self.servos[name].place(place)

    def wait(self, stage: TeleopStage, words: str = "") -> None:
        wait_for(lambda: self.stage == stage and words in self.heard[-1].reason)


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    monkeypatch.setenv("ALOHA_PORTS", str(tmp_path))
    servos = {name: BenchArm(load_robot("twin").arm(name)) for name in ARMS}
    ports = [VirtualPort(tmp_path, f"ttyDXL_{name}", servos[name]) for name in ARMS]
    with ros(), serving(ports, time.monotonic), contextlib.ExitStack() as stack:
        bridges = [
            ArmBridge(
                namespace=name,
                parameter_overrides=with_parameters(robot="twin", arm=name, park_speed=3.0),
            )
            for name in ARMS
        ]
        rest = [
            Safety(parameter_overrides=with_parameters(robot="twin")),
            Teleop(parameter_overrides=with_parameters(robot="twin", ramp_speed=2.0)),
        ]
        node = Operator(servos)
        for one in (*bridges, *rest, node):
            stack.enter_context(spinning(one))
        for bridge in bridges:
            assert bridge.transition("configure")
            assert bridge.transition("activate")
        node.hands(OPEN)
        yield node
        for one in (*bridges, *rest):
            one.close()
            one.time.close()
        stack.close()
        for one in (*bridges, *rest, node):
            one.destroy_node()


def test_the_whole_course_of_a_teleoperation(operator: Operator) -> None:
    servos = operator.servos
    operator.wait(TeleopStage.MATCHING, "squeeze")
    for name in FOLLOWERS:
        start = servos[name].arm.start_pose
        wait_for(lambda s=servos[name], p=start: np.allclose(s.position, p, atol=0.003))

    operator.hands(SQUEEZED, 0.6)
    operator.wait(TeleopStage.MATCHING, "off by waist +0.60")
    operator.hands(SQUEEZED, 0.05)
    operator.wait(TeleopStage.ENGAGED)
    for offset in np.linspace(0.05, 0.25, 20):
        operator.hands(OPEN, float(offset))
        time.sleep(0.02)
    for name in FOLLOWERS:
        follower, leader = servos[name], servos[leader_of(name)]
        opening = leader.arm.gripper.normalise_joint(OPEN)
        expected = np.array(leader.position)
        expected[-1] = follower.arm.gripper.unnormalise_joint(opening)
        wait_for(lambda f=follower, e=expected: np.allclose(f.position, e, atol=0.005))

    assert call(operator, "/e_stop").success
    operator.wait(TeleopStage.WAITING, "e-stop")
    operator.hands(OPEN, -0.1)
    time.sleep(0.2)
    stopped = servos["follower_left"].position.copy()
    assert call(operator, "/e_stop_reset").success
    operator.wait(TeleopStage.MATCHING, "off by")
    np.testing.assert_allclose(servos["follower_left"].position, stopped, atol=0.003)

    operator.hands(OPEN, 0.25)
    operator.wait(TeleopStage.MATCHING, "squeeze the")
    operator.hands(SQUEEZED, 0.25)
    operator.wait(TeleopStage.ENGAGED)
    assert call(operator, "/teleop/disengage").success
    operator.hands(OPEN, 0.3)
    operator.wait(TeleopStage.MATCHING, "squeeze")


def test_joint_states_from_the_future_are_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    with ros():
        teleop = Teleop(parameter_overrides=with_parameters(robot="twin"))
        node = Operator({})
        statuses = {a: node.create_publisher(ArmStatus, f"/{a}/status", LATCHED) for a in ARMS}
        joints = {a: node.create_publisher(JointState, f"/{a}/joint_states", 5) for a in ARMS}

        def say(ahead_s: float, words: str) -> bool:
            message = JointState(name=list(JOINTS), position=[0.0] * len(JOINTS))
            set_stamp(message.header.stamp, time.time_ns() + round(ahead_s * 1e9))
            for arm in ARMS:
                joints[arm].publish(message)
            return bool(node.heard) and words in node.heard[-1].reason

        with spinning(teleop), spinning(node):
            try:
                for arm in ARMS:
                    mode = Mode.BACK_DRIVEN if arm in LEADERS else Mode.HOLDING
                    statuses[arm].publish(ArmStatus(mode=int(mode)))
                wait_for(lambda: say(0.5, "waiting for the joint states of follower_left"))
                until_s = time.monotonic() + 0.3
                while time.monotonic() < until_s:
                    assert say(0.5, "waiting for the joint states of follower_left")
                    time.sleep(0.01)
                wait_for(lambda: say(0.0, "followers go to the start pose"))
            finally:
                teleop.close()
                teleop.time.close()
        teleop.destroy_node()
        node.destroy_node()


def test_an_unknown_mode_is_a_fault_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")
    with ros():
        teleop = Teleop(parameter_overrides=with_parameters(robot="twin"))
        node = Operator({})
        status = node.create_publisher(ArmStatus, "/follower_left/status", LATCHED)
        with spinning(teleop), spinning(node):
            try:
                status.publish(ArmStatus(mode=99))
                node.wait(TeleopStage.WAITING, "follower_left is fault")
            finally:
                teleop.close()
                teleop.time.close()
        teleop.destroy_node()
        node.destroy_node()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failing_tick_ends_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALOHA_PORTS", "ports")

    def broken(*_: object) -> None:
        raise RuntimeError("no tick")

    monkeypatch.setattr(Teleop, "_tick", broken)
    with ros():
        teleop = Teleop(parameter_overrides=with_parameters(robot="twin"))
        wait_for(lambda: teleop.finished)
        assert isinstance(teleop.failure, RuntimeError)
        teleop.close()
        teleop.time.close()
        teleop.destroy_node()
