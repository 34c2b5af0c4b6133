"""What every ArmBus must do. Inherit, give `make_bus`, and the implementation proves itself."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from aloha_stack.dynamixel.arm_bus import ArmBus, ServoHealth
from aloha_stack.dynamixel.control_table import table_for
from aloha_stack.dynamixel.errors import PortBusy, PortClosed, TorqueIsOn
from aloha_stack.dynamixel.units import AMPERE_PER_CURRENT_UNIT, RAD_PER_TICK
from aloha_stack.robot.description import Servo
from aloha_stack.robot.joints import JOINTS

PATIENCE_S = 5.0


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` becomes true before the patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class BusConformance:
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

    # -- health ---------------------------------------------------------------------------------

    def test_all_nine_are_known_after_a_few_looks(self, bus):
        before = bus.watch()
        assert set(before) == {servo.id for servo in bus.arm.servos}
        health = watched(bus)
        position = dict(zip(JOINTS, bus.read().position, strict=True))
        for servo in bus.arm.servos:
            one = health[servo.id]
            assert one.answered
            assert one.torque is False
            assert one.hardware_error == ()
            assert one.watchdog_tripped is False
            assert 9.0 <= one.voltage_v <= 16.0
            assert 0.0 < one.temperature_c < 80.0
            assert one.position_rad == pytest.approx(position[servo.joint], abs=5 * RAD_PER_TICK)
            assert np.isfinite(one.current_a) == has_current(servo)

    def test_readings_are_counted_by_servo(self, bus):
        for _ in range(3):
            bus.read()
        before = watched(bus)
        assert all(one.answers == one.requests > 0 for one in before.values())
        bus.read()
        after = bus.watch()
        assert all(after[i].requests > before[i].requests for i in before)

    def test_torque_shows_in_the_next_looks(self, bus):
        watched(bus)
        bus.set_torque(True)
        assert not any(one.torque is False for one in bus.watch().values())
        assert all(one.torque for one in watched(bus).values())

    def test_the_round_trip_of_the_last_reading_is_known(self, bus):
        assert np.isnan(bus.round_trip_s)
        bus.read()
        assert 0.0 < bus.round_trip_s < 1.0

    def test_the_latency_timer_is_a_number_where_there_is_one(self, bus):
        timer = bus.latency_timer_ms()
        assert timer is None or timer >= 0

    # -- currents -------------------------------------------------------------------------------

    def test_in_current_mode_nothing_pulls_until_it_is_told_to(self, bus):
        bus.configure()
        bus.set_mode("current")
        for servo in bus.arm.servos:
            if has_current(servo):
                assert bus.read_register(servo.id, "operating_mode") == 0
                assert bus.read_register(servo.id, "goal_current") == 0
            else:
                mode = servo.registers["operating_mode"]
                assert bus.read_register(servo.id, "operating_mode") == mode

    def test_position_mode_comes_back_with_everything_that_belongs_to_it(self, bus):
        bus.configure()
        bus.set_mode("current")
        bus.set_mode("position")
        assert bus.configure() == ()

    def test_currents_are_returned_as_written_and_only_to_servos_that_know_them(self, bus):
        bus.configure()
        bus.set_mode("current")
        written = bus.write_currents(np.linspace(-0.3, 0.3, 7))
        for servo, asked, current in zip(
            bus.arm.addressed, np.linspace(-0.3, 0.3, 7), written, strict=True
        ):
            if not has_current(servo):
                assert current == 0.0
                continue
            assert abs(current - asked) <= AMPERE_PER_CURRENT_UNIT / 2 + 1e-9
            units = bus.read_register(servo.id, "goal_current")
            assert current == pytest.approx(units * AMPERE_PER_CURRENT_UNIT)

    def test_a_current_beyond_a_servo_limit_is_cut_off(self, bus):
        bus.configure()
        bus.set_mode("current")
        waist = bus.arm.addressed[0].id
        limit = bus.read_register(waist, "current_limit")
        written = bus.write_currents(np.full(7, -50.0))
        assert written[0] == pytest.approx(-limit * AMPERE_PER_CURRENT_UNIT)
        assert bus.read_register(waist, "goal_current") == -limit

    def test_a_current_that_is_no_number_is_refused_by_joint(self, bus):
        current = np.zeros(7)
        current[3] = np.inf
        with pytest.raises(ValueError, match=JOINTS[3]):
            bus.write_currents(current)
        with pytest.raises(ValueError, match="shape"):
            bus.write_currents(current[:6])

    def test_the_mode_is_not_changed_under_torque(self, bus):
        bus.configure()
        bus.set_torque(True)
        with pytest.raises(TorqueIsOn, match="park the arm"):
            bus.set_mode("current")
        assert bus.read_register(bus.arm.addressed[0].id, "operating_mode") == 3
        with pytest.raises(ValueError, match="position, current"):
            bus.set_mode("velocity")

    # -- recovery -------------------------------------------------------------------------------

    def test_a_recovered_servo_is_limp_and_configured_and_the_others_hold(self, bus):
        bus.configure()
        bus.set_torque(True)
        gripper = bus.arm.addressed[-1]
        bus.write_register(gripper.id, "position_p_gain", 333)
        bus.recover([gripper.id])
        assert [i for i, on in bus.torque().items() if not on] == [gripper.id]
        assert bus.configure() == ()

    def test_a_shadow_and_its_master_are_recovered_together(self, bus):
        bus.configure()
        bus.set_torque(True)
        shadow = next(servo for servo in bus.arm.servos if servo.shadow_of is not None)
        bus.recover([shadow.id])
        assert {i for i, on in bus.torque().items() if not on} == {shadow.id, shadow.shadow_of}

    def test_nobody_to_recover_is_nothing_to_do(self, bus):
        bus.set_torque(True)
        bus.recover(())
        assert all(bus.torque().values())


LOOKS = 4
"""After so many calls of watch() every servo's health is known, and fresh."""


def watched(bus: ArmBus) -> Mapping[int, ServoHealth]:
    """What is known of the servos after a full round of looks."""
    for _ in range(LOOKS - 1):
        bus.watch()
    return bus.watch()


def has_current(servo: Servo) -> bool:
    """Whether the model senses its current."""
    return "current_limit" in table_for(servo.model)


def eventually_moved(bus: ArmBus, before: np.ndarray, readings: int = 20) -> bool:
    """Whether any of some readings differs from `before` by more than a tick."""
    for _ in range(readings):
        if np.any(np.abs(bus.read().position - before) > RAD_PER_TICK):
            return True
        time.sleep(0.001)
    return False
