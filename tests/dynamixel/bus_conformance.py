"""What every ArmBus must do. Inherit, give `make_bus`, and the implementation proves itself."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from aloha_stack.dynamixel.arm_bus import ArmBus
from aloha_stack.dynamixel.errors import PortBusy, PortClosed
from aloha_stack.dynamixel.units import RAD_PER_TICK
from aloha_stack.robot.joints import JOINTS
from dynamixel.health_conformance import HealthConformance

PATIENCE_S = 5.0


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` becomes true before the patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class BusConformance(HealthConformance):
    """Mixin: `make_bus` is a fixture that returns a function; each call makes a closed bus.

    All of them reach the same healthy arm, found as after power-on: torque off, joints free to
    follow their goals quickly once they have torque.
    """

    @pytest.fixture
    def bus(self, make_bus):
        bus = make_bus()
        bus.open()
        yield bus
        bus.close()

    def test_it_has_every_method_of_the_interface(self, make_bus):
        assert isinstance(make_bus(), ArmBus)

    def test_nothing_works_before_it_is_open(self, make_bus):
        bus = make_bus()
        uses = (bus.read, bus.watch, bus.check, bus.torque, bus.configure, bus.hardware_errors)
        for use in uses:
            with pytest.raises(PortClosed, match=bus.arm.name):
                use()
        with pytest.raises(PortClosed):
            bus.write_goals(bus.arm.start_pose)

    def test_it_may_be_closed_twice_and_opened_again(self, make_bus):
        bus = make_bus()
        bus.close()
        bus.open()
        bus.close()
        bus.close()
        bus.open()
        assert bus.read().complete
        bus.close()

    def test_only_one_may_have_the_port(self, bus, make_bus):
        with pytest.raises(PortBusy, match="in use"):
            make_bus().open()
        assert bus.read().complete

    def test_a_healthy_arm_passes_the_check(self, bus):
        bus.check()
        assert dict(bus.hardware_errors()) == {}

    def test_what_was_configured_needs_no_second_time(self, bus):
        bus.configure()
        assert bus.configure() == ()
        for servo in bus.arm.servos:
            for name, value in servo.registers.items():
                assert bus.read_register(servo.id, name) == value

    def test_a_reading_has_seven_joints_in_si_units(self, bus):
        state = bus.read()
        for values in (state.position, state.velocity, state.effort):
            assert values.shape == (len(JOINTS),)
            assert np.isfinite(values).all()
        assert np.all(np.abs(state.position) <= 2 * np.pi)
        assert state.missing == ()
        assert state.alert == ()

    def test_torque_goes_on_and_off_for_all_nine(self, bus):
        assert set(bus.torque()) == {servo.id for servo in bus.arm.servos}
        assert not any(bus.torque().values())
        bus.set_torque(True)
        assert all(bus.torque().values())
        bus.set_torque(False)
        assert not any(bus.torque().values())

    def test_torque_holds_the_arm_where_it_is(self, bus):
        before = bus.read().position
        bus.set_torque(True)
        assert not eventually_moved(bus, before)

    def test_goals_are_returned_as_written_and_reached(self, bus):
        bus.configure()
        bus.set_torque(True)
        wanted = np.clip(bus.arm.start_pose + 0.1001, bus.arm.limits.lower, bus.arm.limits.upper)
        written = bus.write_goals(wanted)
        assert np.all(np.abs(written - wanted) <= RAD_PER_TICK / 2 + 1e-9)
        assert np.allclose(written / RAD_PER_TICK, np.round(written / RAD_PER_TICK))
        assert eventually(lambda: np.allclose(bus.read().position, written, atol=RAD_PER_TICK))

    def test_a_goal_without_torque_moves_nothing(self, bus):
        before = bus.read().position
        bus.write_goals(before + 0.2)
        assert not eventually_moved(bus, before)

    def test_a_goal_that_is_no_number_is_refused_by_joint(self, bus):
        bus.set_torque(True)
        before = bus.read().position
        goals = before + 0.2
        goals[2] = np.nan
        with pytest.raises(ValueError, match=JOINTS[2]):
            bus.write_goals(goals)
        with pytest.raises(ValueError, match="shape"):
            bus.write_goals(goals[:6])
        assert not eventually_moved(bus, before)

    def test_a_goal_beyond_a_servo_limit_is_cut_off_and_said_so(self, bus):
        bus.configure()
        bus.set_torque(True)
        goals = bus.read().position
        goals[1] = 9.0
        written = bus.write_goals(goals)
        highest = bus.read_register(bus.arm.addressed[1].id, "max_position_limit")
        assert written[1] == pytest.approx((highest - 2048) * RAD_PER_TICK)
        assert eventually(lambda: abs(bus.read().position[1] - written[1]) <= RAD_PER_TICK)

    def test_the_watchdog_is_armed_and_cleared_on_all_nine(self, bus):
        bus.set_watchdog(2.0)
        assert {bus.read_register(servo.id, "bus_watchdog") for servo in bus.arm.servos} == {100}
        bus.set_watchdog(0)
        assert {bus.read_register(servo.id, "bus_watchdog") for servo in bus.arm.servos} == {0}
        for impossible in (-1.0, 0.001, 60.0):
            with pytest.raises(ValueError, match="watchdog"):
                bus.set_watchdog(impossible)

    def test_registers_are_read_and_written_by_name(self, bus):
        waist = bus.arm.addressed[0].id
        bus.write_register(waist, "position_p_gain", 640)
        assert bus.read_register(waist, "position_p_gain") == 640

    def test_an_unknown_register_or_servo_is_named_with_those_that_exist(self, bus):
        with pytest.raises(ValueError, match=r"no register 'goal_postion'.*goal_position"):
            bus.read_register(1, "goal_postion")
        with pytest.raises(ValueError, match=r"no servo 42.*1, 2, 3"):
            bus.read_register(42, "goal_position")

    def test_a_rebooted_servo_comes_back_without_torque_and_configured(self, bus):
        bus.configure()
        bus.set_torque(True)
        gripper = bus.arm.addressed[-1]
        bus.write_register(gripper.id, "position_p_gain", 333)
        bus.reboot(gripper.id)
        torque = bus.torque()
        assert [i for i, on in torque.items() if not on] == [gripper.id]
        assert bus.configure() == ()
        assert bus.read().complete


def eventually_moved(bus: ArmBus, before: np.ndarray, readings: int = 20) -> bool:
    """Whether any of some readings differs from `before` by more than a tick."""
    for _ in range(readings):
        if np.any(np.abs(bus.read().position - before) > RAD_PER_TICK):
            return True
        time.sleep(0.001)
    return False
