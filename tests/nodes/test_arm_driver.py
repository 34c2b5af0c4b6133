"""An arm's driver on a bus in memory: what is hard to see from outside.

Regressions pinned: a leader that was held by its servos and fell as it was adopted; torque switched
off by one call, in any pose; a remark that stayed in the status for good; a gripper that let go of
its object as the arm was held anew; reboot, again and again, of a servo that was still too hot.
"""

import numpy as np
import pytest

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes._arm_driver import ArmDriver
from aloha_stack.nodes._arm_grip import REMARK_S
from aloha_stack.nodes._arm_services import CONFIRM_S, ArmServices
from aloha_stack.nodes._jobs import Refused
from aloha_stack.robot.joints import JOINTS
from control.arms import arm
from nodes.memory_bus import MemoryBus


class Bench:
    """A driver whose arm is held and whose heartbeat is there."""

    def __init__(self) -> None:
        self.bus = MemoryBus(arm())
        self.control = ArmController(self.bus.arm)
        self.driver = ArmDriver(self.bus, self.control)
        self.services = ArmServices(self.driver)
        self.now_s = 100.0
        self.pushed = np.zeros(len(JOINTS))
        """How far something pushes the joints off their goals, rad."""
        self.driver.connect()
        self.driver.activate()
        self.run(30)

    def run(self, cycles: int) -> None:
        for _ in range(cycles):
            self.now_s += 0.01
            self.control.heartbeat(False, "", self.now_s)
            self.driver.cycle(self.now_s, self.now_s)
            self.bus.settle()
            self.bus.position = self.bus.position + self.pushed


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_while_an_arm_cannot_be_held_anew_no_joint_is_moved(bench: Bench) -> None:
    held = bench.bus.goal.copy()
    bench.bus.tripped.add(1)
    bench.bus.stubborn = True
    bench.run(40)
    assert "cannot be held anew: torque was not taken" in bench.control.reason
    goals = np.vstack([grip.goals for grip in bench.bus.grips[2:] if grip.goals])
    np.testing.assert_array_equal(goals[:, 1:], np.broadcast_to(held[1:], goals[:, 1:].shape))
    assert set(goals[:, 0]) == {goals[0, 0]}  # where the joint was found, each time
    bench.bus.stubborn = False
    bench.run(10)
    assert (bench.control.mode, bench.driver.health.unheld) == (Mode.HOLDING, "")
    np.testing.assert_array_equal(bench.bus.goal[1:], held[1:])


@pytest.mark.parametrize("cycles", [20, 25])  # the next look tells of torque, or of all else
def test_what_a_look_told_before_an_arm_was_held_is_not_held_against_it(
    bench: Bench, cycles: int
) -> None:
    bench.bus.restart(4)
    bench.run(cycles)
    assert "servo 4 (elbow) has lost its torque" in bench.control.reason
    bench.services.reboot()
    for _ in range(40):
        bench.run(1)
        assert bench.control.reason == "waiting for commands"


def test_an_arm_that_was_not_parked_is_not_let_go(bench: Bench) -> None:
    bench.control.reason = ""
    assert "it was not parked" in bench.driver.release()
    assert all(bench.bus.on.values())


def test_a_failure_in_the_midst_of_a_grip_leaves_a_limp_arm_limp() -> None:
    bus = MemoryBus(arm())
    driver = ArmDriver(bus, ArmController(bus.arm))
    driver.connect()
    bus.fail(7)
    with pytest.raises(Exception, match="torque was not taken"):
        driver.activate()
    assert not any(bus.on.values())
    assert not driver.controller.active


def test_a_pause_is_known_as_one_though_the_clock_was_set_back(bench: Bench) -> None:
    grips = len(bench.bus.grips)
    steady_s, watchdog_s = bench.now_s, bench.driver.hold.watchdog_s
    bench.driver.clock_jumped()
    bench.control.heartbeat(False, "", steady_s + 2 * watchdog_s)
    cycle = bench.driver.cycle(bench.now_s - 3.0, steady_s + 2 * watchdog_s)
    assert "the bus had a pause of 1.0" in cycle.note
    assert len(bench.bus.grips) > grips


def test_a_clock_that_is_set_back_without_a_pause_is_none(bench: Bench) -> None:
    bench.driver.clock_jumped()
    bench.control.heartbeat(False, "", bench.now_s)
    assert bench.driver.cycle(bench.now_s - 3.0, bench.now_s + 0.01).note == ""


@pytest.mark.parametrize("phase", range(20))  # of the looks, when it comes back
def test_who_came_back_limp_is_set_up_again_before_it_gets_torque(bench: Bench, phase: int) -> None:
    bench.bus.silent.add(4)
    bench.run(20 + phase)
    bench.bus.restart(4)
    bench.bus.silent.clear()
    bench.run(20)
    assert bench.driver.health.unsure == {4}


# -- nothing is dropped ---------------------------------------------------------------------------


def held_leader() -> tuple[MemoryBus, ArmDriver]:
    """A leader whose servos hold it in the air, as somebody left it."""
    bus = MemoryBus(arm("leader_left"))
    bus.position = np.array(bus.arm.rest_pose) + 0.5
    bus.on = dict.fromkeys(bus.on, True)
    return bus, ArmDriver(bus, ArmController(bus.arm))


def test_a_leader_that_is_held_in_the_air_is_not_dropped_by_adopting_it() -> None:
    bus, driver = held_leader()
    services = ArmServices(driver)
    driver.connect()
    for take in (driver.activate, driver.adopt):
        with pytest.raises(Refused, match=r"held in the air by servo 1 .*Take it in your hands"):
            take()
    driver.cycle(1.0, 1.0)
    assert "call /leader_left/torque data:=false" in driver.controller.reason
    with pytest.raises(Refused, match="falls without torque"):
        services.set_torque(False, 10.0)
    assert all(bus.on.values())
    assert services.set_torque(False, 12.0) == "leader_left is limp"
    assert not any(bus.on.values())
    driver.adopt()
    driver.cycle(1.01, 1.01)
    assert (driver.controller.mode, driver.controller.reason) == (Mode.BACK_DRIVEN, "")


def test_a_leader_that_is_held_at_its_rest_pose_can_be_adopted() -> None:
    bus, driver = held_leader()
    bus.position = np.array(bus.arm.rest_pose)
    driver.connect()
    driver.adopt()
    assert not any(bus.on.values())


def test_of_a_leader_left_floating_only_servos_that_hold_nothing_are_let_go() -> None:
    bus, driver = held_leader()
    bus.modes = {2: 0, 3: 0}
    driver.connect()
    assert {i for i, on in bus.on.items() if not on} == {2, 3}


def test_torque_goes_off_away_from_the_rest_pose_only_when_asked_twice(bench: Bench) -> None:
    began_s = bench.now_s
    for late_s in (0.0, CONFIRM_S + 0.1):  # the second comes too late, and asks anew
        with pytest.raises(Refused, match=r"not at its rest pose .*call this again within 5 s"):
            bench.services.set_torque(False, began_s + late_s)
    assert all(bench.bus.on.values())
    assert bench.services.set_torque(False, began_s + CONFIRM_S + 1) == "follower_left is limp"
    assert not any(bench.bus.on.values())
    assert "is limp" in bench.services.set_torque(False, began_s + 60)  # limp already


def test_torque_goes_off_at_once_at_the_rest_pose() -> None:
    bench = Bench()
    bench.bus.position = np.array(bench.bus.arm.rest_pose)
    assert bench.services.set_torque(False, bench.now_s) == "follower_left is limp"


def test_an_arm_that_is_held_anew_keeps_its_grip_on_an_object(bench: Bench) -> None:
    grip = JOINTS.index("gripper")
    before = bench.bus.goal.copy()
    bench.pushed[grip] = 0.5
    bench.run(2)
    bench.driver.take_hold(keep=True)
    np.testing.assert_array_equal(bench.bus.goal, before)


# -- what is told ---------------------------------------------------------------------------------


def test_an_arm_that_is_pushed_off_its_goals_is_held_anew_once_and_says_so(bench: Bench) -> None:
    elbow, before = JOINTS.index("elbow"), bench.bus.goal.copy()
    bench.pushed[elbow] = 0.5
    bench.run(100)
    assert "elbow is 0.48 rad away from where it is held" in bench.control.reason
    moved = np.flatnonzero(bench.bus.goal != before)
    assert moved.tolist() == [elbow]
    eased = bench.bus.goal.copy()
    bench.run(1000)  # pushed on: a load, which must not make it creep
    np.testing.assert_array_equal(bench.bus.goal, eased)
    assert "blocked, overloaded, or limp" in bench.control.reason
    assert bench.control.troubled
    bench.pushed[elbow] = 0.0
    bench.run(10)
    assert bench.control.reason == "waiting for commands"
    assert not bench.control.troubled


def test_that_an_arm_was_held_anew_is_told_for_a_while_only(bench: Bench) -> None:
    bench.bus.silent.add(4)
    bench.run(30)
    bench.bus.silent.clear()
    bench.run(30)
    assert "did not answer for a while; held anew" in bench.control.reason
    bench.run(round(REMARK_S / 0.01))
    assert bench.control.reason == "waiting for commands"


@pytest.mark.parametrize(
    ("register", "value", "words"),
    [
        (
            "present_temperature",
            81,
            r"servo 7 .* is still at 81 degrees C, its limit is 80; wait",
        ),
        ("present_input_voltage", 90, r"still gets 9\.0 V, its limits are 9\.5 and 16\.0; mend"),
    ],
)
def test_a_servo_that_would_fail_again_is_not_rebooted_and_says_what_to_wait_for(
    bench: Bench, register: str, value: int, words: str
) -> None:
    bench.bus.fail(7)
    well = bench.bus.registers[register]
    bench.bus.registers[register] = value
    bench.run(30)
    with pytest.raises(Refused, match=words):
        bench.services.reboot()
    assert bench.bus.broken == {7}
    bench.bus.registers[register] = well
    assert "brought back servo 7" in bench.services.reboot()
