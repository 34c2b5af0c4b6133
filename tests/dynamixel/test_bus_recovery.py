"""Servos that restarted, that are in error, or that somebody left with other limits."""

import numpy as np
import pytest

from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.errors import ServoSilent
from aloha_stack.twin.faults import Fault
from dynamixel.bus_conformance import eventually
from dynamixel.health_conformance import watched
from twin.virtual_rig import rig

ALL = tuple(range(1, 10))


@pytest.fixture
def live(tmp_path):
    with rig(tmp_path) as live:
        yield live


@pytest.fixture
def bus(live):
    bus = DynamixelBus(live.arm)
    bus.open()
    yield bus
    bus.close()


# -- recovery ---------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["overload", "overheating", "undervoltage"])
def test_a_shadow_in_error_is_rebooted_alone_and_its_master_holds(live, bus, error):
    bus.configure()
    bus.set_torque(True)
    bits = {"overload": 0x20, "overheating": 0x04, "undervoltage": 0x01}[error]
    live.virtual.servos[5].fail(bits)
    bus.recover([5])
    assert bus.hardware_errors() == {}
    assert live.virtual.servos[4].boots_until_s < 0
    assert [i for i, on in bus.torque().items() if not on] == [5]
    assert bus.configure() == ()
    bus.set_torque(True)
    assert all(bus.torque().values())


def test_a_master_in_error_restarts_with_its_shadow_which_hears_it(live, bus):
    bus.configure()
    bus.set_torque(True)
    live.virtual.servos[4].fail(0x20)
    bus.recover([4])
    assert [i for i, on in bus.torque().items() if not on] == [4, 5]
    assert bus.configure() == ()


def test_a_shadow_holds_its_goal_while_its_limp_master_gets_its_ram_back(live, bus):
    bus.configure()
    bus.set_torque(True)
    goal = live.virtual.servos[5].get("goal_position")
    live.virtual.servos[4].put("torque_enable", 0)  # as after a restart by itself
    live.virtual.servos[4].put("position_p_gain", 5)
    bus.recover([4])
    assert [i for i, on in bus.torque().items() if not on] == [4]
    assert live.virtual.servos[5].get("goal_position") == goal
    assert live.virtual.servos[5].boots_until_s < 0
    assert bus.configure() == ()


def test_errors_are_known_of_those_that_answer(live, bus):
    live.virtual.servos[5].fail(0x20)
    live.virtual.servos[8].silent = True
    assert set(bus.hardware_errors()) == {5}
    for servo in live.virtual.servos.values():
        servo.silent = True
    with pytest.raises(ServoSilent):
        bus.hardware_errors()


def test_a_servo_that_is_silent_leaves_no_other_without_its_watchdog(live, bus):
    live.virtual.servos[8].silent = True
    with pytest.raises(ServoSilent, match="servo 8"):
        bus.set_watchdog(1.0)
    armed = {i for i, servo in live.virtual.servos.items() if servo.get("bus_watchdog") == 50}
    assert armed == set(ALL) - {8}


def test_servos_that_restarted_by_themselves_get_their_ram_back(live, bus):
    bus.configure()
    bus.write_register(9, "goal_current", 120)
    live.port.inject(Fault("brown_out"))
    assert eventually(lambda: len(bus.read().missing) == 7)
    live.virtual.servos[1].put("position_p_gain", 20)
    bus.recover(ALL)
    assert bus.read().complete
    assert not any(bus.torque().values())
    assert live.virtual.servos[1].get("position_p_gain") == 800
    assert bus.configure() == ()


def test_only_a_servo_in_error_is_rebooted(live, bus):
    bus.configure()
    bus.recover([6])
    assert live.virtual.servos[6].boots_until_s < 0


def test_a_servo_that_stays_silent_cannot_be_recovered(live, bus, monkeypatch):
    monkeypatch.setattr("aloha_stack.dynamixel.restart.LIMIT_S", 0.1)
    live.virtual.servos[8].silent = True
    with pytest.raises(ServoSilent, match=r"servo 8 \(wrist_rotate\) does not answer"):
        bus.recover([8])


def test_after_a_recovery_what_was_known_before_is_not_believed(live, bus):
    bus.set_torque(True)
    assert watched(bus)[9].torque is True
    bus.recover([9])
    bus.watch()
    assert bus.watch()[9].torque is False


# -- limits that count ------------------------------------------------------------------------


def test_a_gripper_left_with_another_goal_current_gets_its_limit_back(live, bus):
    bus.configure()
    bus.write_register(9, "goal_current", 40)
    bus.write_register(2, "goal_pwm", 300)
    assert set(bus.configure()) == {
        "servo 9 (gripper): goal_current = 300",
        "servo 2 (shoulder): goal_pwm = 885",  # and through its secondary ID servo 3
    }
    assert bus.read_register(9, "goal_current") == 300
    assert {bus.read_register(i, "goal_pwm") for i in ALL} == {885}


def test_limits_are_restored_though_the_watchdog_has_tripped(live, bus):
    bus.configure()
    bus.write_register(9, "goal_current", 40)
    live.virtual.servos[9].put("bus_watchdog", -1)
    assert bus.configure() == ("servo 9 (gripper): goal_current = 300",)


def test_a_leaders_gripper_holds_with_a_part_of_its_voltage(tmp_path):
    with rig(tmp_path, "leader_left") as live:
        live.virtual.servos[9].load_eeprom({"pwm_limit": 885})
        bus = DynamixelBus(live.arm)
        bus.open()
        bus.configure()
        assert bus.read_register(9, "pwm_limit") == 442
        assert bus.read_register(9, "goal_pwm") == 442
        bus.close()


def test_current_mode_found_on_an_arm_begins_at_no_current(tmp_path):
    with rig(tmp_path, "leader_left") as live:
        bus = DynamixelBus(live.arm)
        bus.open()
        bus.set_mode("current")
        bus.write_currents(np.full(7, 0.5))
        bus.set_mode("current")
        currents = [bus.read_register(i, "goal_current") for i in range(1, 9)]
        assert currents == [0] * 8
        bus.close()
