"""/diagnostics of one arm: every servo, its bridge, and what is wrong with them in words."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes import _arm_diagnostics
from aloha_stack.robot.joints import JOINTS
from nodes.arm_rig import Rig, rig, wait_for

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Monitor:
    """Hears /diagnostics of a rig."""

    def __init__(self, made: Rig) -> None:
        self.heard: list[DiagnosticArray] = []
        made.operator.create_subscription(DiagnosticArray, "/diagnostics", self.heard.append, 10)

    def status(self, name: str) -> DiagnosticStatus:
        return next(s for s in self.heard[-1].status if s.name == name)

    def values(self, name: str) -> dict[str, str]:
        return {pair.key: pair.value for pair in self.status(name).values}

    def wait(self, name: str, level: bytes, words: str) -> None:
        self.heard.clear()
        wait_for(
            lambda: (
                self.heard
                and self.status(name).level == level
                and words in self.status(name).message
            )
        )


@pytest.fixture
def active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(_arm_diagnostics, "PERIOD_S", 0.1)
    with rig(tmp_path) as made:
        made.start()
        yield made


def test_every_servo_and_the_bridge_are_told_of_by_name(active: Rig) -> None:
    monitor = Monitor(active)
    monitor.wait("follower_left: servo 5 (elbow shadow)", OK, "all is well")
    names = [status.name for status in monitor.heard[-1].status]
    assert len(names) == len(set(names)) == 10
    assert monitor.status("follower_left: servo 1 (waist)").hardware_id.endswith("_left/1")
    shadow = "follower_left: servo 3 (shoulder shadow)"
    wait_for(lambda: "unknown" not in monitor.values(shadow).values())
    servo = monitor.values(shadow)
    assert servo["torque"] == "yes"
    assert float(servo["temperature (C)"]) > 0
    assert float(servo["voltage (V)"]) == pytest.approx(12.0, abs=0.5)
    assert servo["hardware error"] == "none"
    assert servo["Bus Watchdog tripped"] == "no"
    assert 0.9 <= float(servo["read rate"]) <= 1.0
    assert float(servo["age (s)"]) < 1.0
    bridge = monitor.values("follower_left: bridge")
    assert bridge["mode"] == "HOLDING"
    assert 50 < float(bridge["cycle rate (Hz)"]) < 150
    assert float(bridge["round trip (ms)"]) > 0
    assert bridge["latency timer (ms)"] == "none"
    assert bridge["strained cycles"] == "0"
    assert float(bridge["held back by limits (rad)"]) == 0.0


@pytest.mark.parametrize(
    ("register", "value", "words"),
    [
        ("present_temperature", 61, "61 degrees C"),
        ("present_input_voltage", 108, "10.8 V, not 11 to 13"),
        ("present_input_voltage", 132, "13.2 V"),
    ],
)
def test_what_becomes_dangerous_is_a_warning(
    active: Rig, register: str, value: int, words: str
) -> None:
    active.servos.servos[4].put(register, value)
    monitor = Monitor(active)
    monitor.wait("follower_left: servo 4 (elbow)", WARN, words)
    assert monitor.status("follower_left: servo 6 (forearm_roll)").level == OK


def test_what_stops_the_arm_is_an_error(active: Rig) -> None:
    monitor = Monitor(active)
    active.servos.servos[9].fail(1 << 5)
    monitor.wait("follower_left: servo 9 (gripper)", ERROR, "hardware error: overload")
    monitor.wait("follower_left: servo 9 (gripper)", ERROR, "has no torque though the arm is held")
    active.servos.servos[5].silent = True
    monitor.wait("follower_left: servo 5 (elbow shadow)", ERROR, "does not answer")


def test_an_arm_that_is_pushed_off_where_it_is_held_is_a_warning(active: Rig) -> None:
    monitor = Monitor(active)
    active.servos.speed_rad_s = 0.0
    active.servos.place(active.servos.position + np.eye(7)[JOINTS.index("elbow")] * -0.5)
    words = "elbow is 0.50 rad away from where it is held"
    active.wait_mode(Mode.HOLDING, f"waiting for commands ({words}")
    monitor.wait("follower_left: bridge", WARN, words)


def test_a_port_that_is_lost_and_a_slow_adapter_are_told_of(active: Rig) -> None:
    monitor = Monitor(active)
    active.bridge.driver.health.latency_ms = 16
    monitor.wait("follower_left: bridge", WARN, "the latency timer is 16 ms; 1 is right")
    active.unplug()
    active.wait_mode(Mode.FAULT)
    monitor.wait("follower_left: bridge", ERROR, "was lost")
