"""A leader that its servos carry: currents on the wire, their cap, and what takes them away."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from std_msgs.msg import Empty
from std_srvs.srv import SetBool

from aloha_stack.control import dead_man
from aloha_stack.control.arm_modes import Mode
from aloha_stack.twin.servo import CURRENT, POSITION
from nodes.arm_rig import Rig, call, rig, wait_for

CAP_A = 0.3
AMPERE_PER_UNIT = 2.69e-3
SHOULDER = 1


class Leader:
    """A light leader in a rig, held out where gravity pulls at it."""

    def __init__(self, made: Rig) -> None:
        self.rig, self.servos, self.bridge = made, made.servos, made.bridge
        place = np.asarray(made.arm.start_pose).copy()
        place[SHOULDER] = 0.4
        self.servos.place(place)
        self.presence = made.operator.create_publisher(Empty, "/operator/presence", 1)

    def start(self) -> None:
        self.rig.start()
        wait_for(lambda: "has not been asked for" in self.rig.operator.reason)

    def ask(self, on: bool = True) -> None:
        response = call(self.rig.operator, "/leader_left/float", SetBool, data=on)
        assert response.success, response.message

    def lift(self) -> None:
        self.start()
        self.ask()
        self.wait_words("carried by its servos")
        wait_for(lambda: abs(self.amperes).max() > 0.9 * CAP_A)

    def wait_words(self, words: str) -> None:
        self.rig.wait_mode(Mode.BACK_DRIVEN, words)

    @property
    def amperes(self) -> np.ndarray:
        """The goal current of every servo that has one and torque."""
        servos = [s for s in self.servos.servos.values() if "goal_current" in s.table]
        return AMPERE_PER_UNIT * np.array([s.get("goal_current") * s.torque for s in servos])


@pytest.fixture
def leader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leader]:
    for name in ("RISE_S", "FALL_S", "QUICK_FALL_S"):
        monkeypatch.setattr(dead_man, name, 0.2)
    given = {"gravity_compensation": True, "gravity_current_cap_a": CAP_A}
    given["gravity_scale"] = 0.9
    with rig(tmp_path, "leader_left", **given) as made:
        yield Leader(made)


def test_unasked_it_pushes_with_nothing(leader: Leader) -> None:
    leader.start()
    time.sleep(0.3)
    assert not leader.amperes.any()
    assert leader.servos.servos[2].mode == CURRENT
    assert leader.servos.servos[2].get("bus_watchdog") == 25


def test_how_much_of_its_weight_it_carries_is_a_parameter(leader: Leader) -> None:
    assert leader.bridge._floating.compensation.scale == 0.9


def test_asked_for_it_carries_its_weight_within_the_cap_and_leaves_the_gripper_limp(
    leader: Leader,
) -> None:
    leader.lift()
    wait_for(lambda: leader.bridge._floating.dead_man.share == 1.0)
    time.sleep(0.05)
    assert abs(leader.amperes).max() <= CAP_A + AMPERE_PER_UNIT
    push, pushed = leader.servos.goals_current()
    assert push[SHOULDER] < 0  # up: the joint's angle grows downwards
    assert not pushed[-1]
    assert not leader.servos.servos[9].torque
    leader.ask(False)
    leader.wait_words("ended by the operator")
    wait_for(lambda: not leader.amperes.any())


def test_without_a_sign_of_the_operator_it_is_let_down(leader: Leader) -> None:
    leader.bridge._floating.dead_man._presence_s = 0.6
    leader.lift()
    for _ in range(10):
        leader.presence.publish(Empty())
        time.sleep(0.1)
    assert leader.amperes.any()
    leader.wait_words("no sign of the operator")
    wait_for(lambda: not leader.amperes.any())


def test_an_e_stop_takes_the_currents_away_until_it_is_asked_for_anew(leader: Leader) -> None:
    leader.lift()
    leader.rig.operator.e_stopped = True
    wait_for(lambda: not leader.amperes.any())
    leader.rig.operator.e_stopped = False
    leader.wait_words("e-stop")
    time.sleep(0.3)
    assert not leader.amperes.any()
    leader.ask()
    wait_for(lambda: leader.amperes.any())


def test_without_a_heartbeat_it_is_let_down(leader: Leader) -> None:
    leader.lift()
    leader.rig.operator.beating = False
    leader.wait_words("no heartbeat")
    wait_for(lambda: not leader.amperes.any())


def test_without_fresh_readings_it_is_let_down(leader: Leader) -> None:
    leader.lift()
    leader.servos.servos[7].silent = True
    wait_for(lambda: not leader.amperes.any())


def test_a_bridge_that_stands_still_lets_go_by_the_watchdog_and_does_not_push_again(
    leader: Leader,
) -> None:
    leader.lift()

    def stand_still() -> None:  # until the servo has let go by itself
        wait_for(lambda: leader.servos.servos[2].get("bus_watchdog") == -1)

    leader.bridge._cycles.ask(stand_still)
    leader.wait_words("had a pause")
    wait_for(lambda: not leader.amperes.any())
    assert leader.servos.servos[2].get("bus_watchdog") == 25


def test_at_the_end_it_is_let_down_first_and_in_position_mode_again(leader: Leader) -> None:
    leader.lift()
    units: list[float] = []
    bus, write = leader.bridge.driver.bus, leader.bridge.driver.bus.write_currents
    bus.write_currents = lambda a: units.append(abs(a).max()) or write(a)
    assert leader.bridge.transition("deactivate")
    wait_for(lambda: any("lets go of the arm" in s.reason for s in leader.rig.operator.status))
    steps = -np.diff([x for x in units if x])
    assert len(steps) > 5  # it fades
    assert max(steps) < 0.5 * CAP_A
    assert not any(servo.torque for servo in leader.servos.servos.values())
    modes = {s.id: s.registers["operating_mode"] for s in leader.rig.arm.servos}
    assert {i: s.mode for i, s in leader.servos.servos.items()} == modes


def test_a_servo_that_restarts_ends_it_and_comes_back_by_reboot(leader: Leader) -> None:
    leader.lift()
    leader.servos.servos[2].reboot(time.monotonic())
    leader.wait_words("servo 2 (shoulder) has lost its torque")
    wait_for(lambda: not leader.amperes.any())
    response = call(leader.rig.operator, "/leader_left/reboot")
    assert response.success, response.message
    leader.ask()
    wait_for(lambda: abs(leader.amperes).max() > 0.9 * CAP_A)


def test_a_port_that_comes_back_pushes_with_nothing(leader: Leader) -> None:
    leader.lift()
    driver = leader.bridge.driver
    leader.bridge._cycles.ask(lambda: driver.fail("lost"))
    time.sleep(0.6)  # the watchdogs trip
    pushed: list[float] = []
    bus, write = driver.bus, driver.bus.write_currents
    bus.write_currents = lambda a: pushed.append(abs(a).max()) or write(a)
    response = call(leader.rig.operator, "/leader_left/adopt")
    assert response.success, response.message
    leader.wait_words("has not been asked for")
    wait_for(lambda: len(pushed) > 10)
    assert not any(pushed)


def test_a_leader_that_was_left_floating_can_be_configured_again(leader: Leader) -> None:
    leader.lift()
    leader.bridge._cycles.end()  # as if it had died
    leader.bridge.driver.bus.close()
    time.sleep(0.6)
    leader.bridge.driver.connect()  # as the next one does
    assert not any(servo.torque for servo in leader.servos.servos.values())
    assert leader.servos.servos[2].mode == POSITION


@pytest.mark.parametrize("name", ["leader_left", "follower_left"])
def test_it_is_not_offered_unless_a_leader_is_told_to(tmp_path: Path, name: str) -> None:
    with rig(tmp_path, name, gravity_compensation=name != "leader_left") as made:
        assert made.bridge.driver.floating is None
        made.start()
        services = dict(made.operator.get_service_names_and_types())
        assert f"/{name}/float" not in services
