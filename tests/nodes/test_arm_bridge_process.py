"""The bridge as a process: how it ends, and what becomes of its arm when it dies."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from aloha_interfaces.msg import ArmStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from aloha_stack.control.arm_modes import Mode
from aloha_stack.dynamixel.units import RAD_PER_TICK, ZERO_TICKS
from aloha_stack.robot.description import load_robot
from aloha_stack.twin.virtual_bench import BenchArm
from aloha_stack.twin.virtual_port import VirtualPort, serving
from nodes.arm_rig import INWARDS, Operator, call, ros, spinning, wait_for, was_let_go

NAME = "follower_left"


class Arm:
    """Servos at a port, which outlive every bridge, and an operator."""

    def __init__(self, folder: Path) -> None:
        self.servos = BenchArm(load_robot("twin").arm(NAME))
        self.port = VirtualPort(folder, f"ttyDXL_{NAME}", self.servos)
        self.rest = np.asarray(self.servos.arm.rest_pose)
        self.operator = Operator(NAME)
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, node: str = "arm_bridge") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"aloha_stack.nodes.{node}", "--ros-args"]
        command += ["-p", "robot:=twin"]
        if node == "arm_bridge":
            command += ["-r", f"__ns:=/{NAME}", "-p", f"arm:={NAME}"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def wait_mode(self, mode: Mode, *words: str) -> None:
        """For any of these words."""
        said = words or ("",)
        wait_for(
            lambda: self.operator.mode == mode and any(w in self.operator.reason for w in said),
            20.0,
        )

    def follow(self) -> None:
        self.operator.target = lambda t: self.rest + 0.15 * (1 + 0.3 * np.sin(2 * t)) * INWARDS
        self.wait_mode(Mode.FOLLOWING)

    def is_at_rest_pose(self) -> bool:
        return np.allclose(self.servos.position, self.rest, atol=2 * RAD_PER_TICK)


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arm]:
    monkeypatch.setenv("ALOHA_PORTS", str(tmp_path))
    with ros(processes=True), contextlib.ExitStack() as stack:
        domain = rclpy.utilities.get_default_context().get_domain_id()
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        made = Arm(tmp_path)
        stack.enter_context(serving([made.port], time.monotonic))
        stack.enter_context(spinning(made.operator))
        try:
            yield made
        finally:
            for process in made.processes:
                process.kill()
                process.communicate()
            made.operator.close()
        stack.close()
        made.operator.destroy_node()


def test_a_process_waits_for_its_port_then_parks_on_signals(tmp_path: Path, arm: Arm) -> None:
    arm.port.close()
    process = arm.start()
    assert process.stderr is not None
    assert "does not exist" in process.stderr.readline()
    port = VirtualPort(tmp_path, f"ttyDXL_{NAME}", arm.servos)
    with serving([port], time.monotonic):
        arm.follow()
        process.send_signal(signal.SIGTERM)
        arm.wait_mode(Mode.PARKING)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert not arm.servos.goals()[1].any()
    assert arm.is_at_rest_pose()


def test_a_signal_while_a_service_parks_the_arm_lets_it_park_to_the_end(arm: Arm) -> None:
    arm.servos.place(np.asarray(arm.servos.arm.start_pose))
    process = arm.start()
    arm.wait_mode(Mode.HOLDING)
    client = arm.operator.create_client(ChangeState, f"/{NAME}/arm_bridge/change_state")
    assert client.wait_for_service(10.0)
    client.call_async(ChangeState.Request(transition=Transition(id=4)))
    arm.wait_mode(Mode.PARKING)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert not arm.servos.goals()[1].any()
    assert arm.is_at_rest_pose()


def test_after_a_kill_the_arm_stands_still_and_is_adopted_without_a_jerk(arm: Arm) -> None:
    process = arm.start()
    arm.wait_mode(Mode.HOLDING)
    arm.follow()
    process.kill()
    process.wait()
    arm.operator.target = None
    wait_for(lambda: was_let_go(arm.port))
    number = len(arm.servos.written_goals)
    goals = arm.servos.goals()[0]
    wait_for(lambda: all(s.get("bus_watchdog") == -1 for s in arm.servos.servos.values()))
    assert len(arm.servos.written_goals) == number
    place = arm.servos.position.copy()
    np.testing.assert_allclose(place, goals, atol=2 * RAD_PER_TICK)
    assert arm.servos.goals()[1].all()

    # The next bridge only reads: somebody may rely on the torque that it finds.
    arm.operator.status.clear()
    process = arm.start()
    assert process.stderr is not None
    while "have torque already" not in (line := process.stderr.readline()):
        assert line, "the bridge has ended"
    arm.wait_mode(Mode.INACTIVE)
    assert arm.operator.status[-1].torque
    assert len(arm.servos.written_goals) == number
    assert all(s.get("bus_watchdog") == -1 for s in arm.servos.servos.values())

    response = call(arm.operator, f"/{NAME}/adopt")
    assert response.success, response.message
    arm.wait_mode(Mode.HOLDING, "waiting for commands")
    written = list(arm.servos.written_goals)[number:]
    assert len(written) > 14
    expected = {s.id: place[k] for k, s in enumerate(arm.servos.arm.addressed)}
    for _, servo_id, ticks in written:
        assert (ticks - ZERO_TICKS) * RAD_PER_TICK == pytest.approx(
            expected[servo_id], abs=RAD_PER_TICK
        )
    # A machine that stands still trips them; they are cleared, and the arm is held anew.
    wait_for(lambda: {s.get("bus_watchdog") for s in arm.servos.servos.values()} == {25})
    arm.follow()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert arm.is_at_rest_pose()


def test_an_arm_whose_commander_and_whose_safety_node_die_holds(arm: Arm) -> None:
    arm.operator.beating = False
    others = [name for name in load_robot("twin").arms if name != NAME]
    status = {n: arm.operator.create_publisher(ArmStatus, f"/{n}/status", 1) for n in others}

    def follow_under(safety: subprocess.Popen[str]) -> None:
        assert safety.poll() is None
        for name, publisher in status.items():
            publisher.publish(ArmStatus(arm=name, mode=int(Mode.INACTIVE)))
        arm.follow()

    arm.start()
    safety = arm.start("safety")
    follow_under(safety)
    safety.kill()
    arm.wait_mode(Mode.HOLDING, "no heartbeat")
    wait_for(lambda: at_rest(arm))
    follow_under(arm.start("safety"))
    arm.operator.target = None  # a commander that died says nothing more either
    arm.wait_mode(Mode.HOLDING, "late", "held anew")  # that, if the machine stood still
    wait_for(lambda: at_rest(arm))


def at_rest(arm: Arm) -> bool:
    """Whether the last goals on the wire are all the same."""
    last: dict[int, set[int]] = {}
    for _, servo_id, ticks in list(arm.servos.written_goals)[-7 * 10 :]:
        last.setdefault(servo_id, set()).add(ticks)
    return all(len(values) == 1 for values in last.values())
