"""What every ArmBus must know of its servos, and do for those that need it: a part of the mixin."""

import time
from collections.abc import Mapping

import numpy as np
import pytest

from aloha_stack.dynamixel.arm_bus import ArmBus, ServoHealth
from aloha_stack.dynamixel.control_table import table_for
from aloha_stack.dynamixel.errors import TorqueIsOn
from aloha_stack.dynamixel.units import AMPERE_PER_CURRENT_UNIT, RAD_PER_TICK
from aloha_stack.robot.description import Servo
from aloha_stack.robot.joints import JOINTS

LOOKS = 4
"""Calls of watch() in one round; what each asked for may be answered some time later."""
ROUND_LIMIT_S = 5.0


def watched(bus: ArmBus) -> Mapping[int, ServoHealth]:
    """What is known of the servos after a full round of looks and its answers."""
    end = time.monotonic() + ROUND_LIMIT_S
    for _ in range(LOOKS):
        health = bus.watch()
    while not all(map(is_known, health.values())) and time.monotonic() < end:
        time.sleep(0.002)
        health = bus.watch()
    return health


def is_known(one: ServoHealth) -> bool:
    """Whether everything that any servo tells was heard."""
    numbers = (one.voltage_v, one.temperature_c, one.position_rad)
    return None not in (one.torque, one.watchdog_tripped) and bool(np.isfinite(numbers).all())


def has_current(servo: Servo) -> bool:
    """Whether the model senses its current."""
    return "current_limit" in table_for(servo.model)


class HealthConformance:
    """Health, currents and recovery; the fixture `bus` is an open bus on a healthy, limp arm."""

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
        end = time.monotonic() + ROUND_LIMIT_S
        while not all(after.requests > before[i].requests for i, after in bus.watch().items()):
            assert time.monotonic() < end
            time.sleep(0.002)

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

    def test_a_master_holds_its_goal_while_its_shadow_is_recovered(self, bus):
        bus.configure()
        bus.set_torque(True)
        written = bus.write_goals(bus.read().position)
        shadow = next(servo for servo in bus.arm.servos if servo.shadow_of is not None)
        goal = bus.read_register(shadow.shadow_of, "goal_position")
        bus.write_register(shadow.id, "position_p_gain", 333)
        bus.recover([shadow.id])
        assert [i for i, on in bus.torque().items() if not on] == [shadow.id]
        assert bus.read_register(shadow.shadow_of, "goal_position") == goal
        assert bus.configure() == ()
        bus.write_goals(written)
        bus.set_torque(True)
        assert bus.read_register(shadow.id, "goal_position") == goal
        assert np.allclose(bus.read().position, written, atol=RAD_PER_TICK)

    def test_nobody_to_recover_is_nothing_to_do(self, bus):
        bus.set_torque(True)
        bus.recover(())
        assert all(bus.torque().values())
