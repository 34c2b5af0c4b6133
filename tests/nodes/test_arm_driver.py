"""An arm's driver on a bus in memory: what is hard to see from outside."""

import numpy as np
import pytest

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes._arm_driver import ArmDriver
from aloha_stack.nodes._arm_services import ArmServices
from control.arms import arm
from nodes.memory_bus import MemoryBus


class Bench:
    """A driver whose arm is held and whose heartbeat is there."""

    def __init__(self) -> None:
        self.bus = MemoryBus(arm())
        self.control = ArmController(self.bus.arm)
        self.driver = ArmDriver(self.bus, self.control)
        self.now_s = 100.0
        self.driver.connect()
        self.driver.activate()
        self.run(30)

    def run(self, cycles: int) -> None:
        for _ in range(cycles):
            self.now_s += 0.01
            self.control.heartbeat(False, "", self.now_s)
            self.driver.cycle(self.now_s, self.now_s)
            self.bus.settle()


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
    ArmServices(bench.driver).reboot()
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
