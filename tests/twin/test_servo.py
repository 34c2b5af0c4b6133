"""One virtual servo: the rules of its control table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.twin.servo import (
    FAILED,
    NO_ACCESS,
    OK,
    OUT_OF_RANGE,
    OVER_LIMIT,
    TOO_SHORT,
    VirtualServo,
)


@pytest.fixture
def servo():
    return VirtualServo("xm540-w270", 1)


def write(servo: VirtualServo, name: str, value: int, secondary: bool = False) -> int:
    register = servo.table[name]
    return servo.write(register.address, register.encode(value), secondary)


def test_it_starts_with_the_values_of_the_factory(servo):
    assert servo.get("model_number") == 1120
    assert servo.get("return_delay_time") == 250
    assert servo.get("position_p_gain") == 800
    assert servo.get("status_return_level") == 2
    assert not servo.torque


def test_eeprom_is_locked_while_torque_is_on(servo):
    assert write(servo, "drive_mode", 1) == OK
    assert write(servo, "torque_enable", 1) == OK
    assert write(servo, "drive_mode", 0) == NO_ACCESS
    assert write(servo, "position_p_gain", 100) == OK
    assert write(servo, "torque_enable", 0) == OK
    assert write(servo, "drive_mode", 0) == OK


def test_what_can_only_be_read_cannot_be_written(servo):
    for name in ("model_number", "present_position", "hardware_error_status", "moving"):
        assert write(servo, name, 1) == NO_ACCESS


def test_a_write_must_cover_whole_registers(servo):
    assert servo.write(116, bytes(2)) == TOO_SHORT
    assert servo.write(117, bytes(1)) == NO_ACCESS
    assert servo.write(108, bytes(8)) == OK  # acceleration and velocity in one stretch
    assert servo.write(500, bytes(1)) == NO_ACCESS


def test_a_refused_write_changes_nothing_at_all(servo):
    before = bytes(servo.memory)
    stretch = servo.table["profile_velocity"].encode(5) + (9_999).to_bytes(4, "little")
    assert servo.write(112, stretch) == OVER_LIMIT
    assert bytes(servo.memory) == before


def test_values_out_of_range_are_refused(servo):
    assert write(servo, "status_return_level", 3) == OUT_OF_RANGE
    assert write(servo, "id", 253) == OUT_OF_RANGE
    assert write(servo, "operating_mode", 2) == OUT_OF_RANGE
    assert write(VirtualServo("xc430-w150", 1), "operating_mode", 5) == OUT_OF_RANGE
    assert write(servo, "bus_watchdog", -1) == OUT_OF_RANGE


def test_goals_stay_inside_the_limit_registers(servo):
    write(servo, "max_position_limit", 3000)
    write(servo, "current_limit", 200)
    assert write(servo, "goal_position", 3000) == OK
    assert write(servo, "goal_position", 3001) == OVER_LIMIT
    assert servo.goal_ticks == 3000
    assert write(servo, "goal_current", 200) == OK
    assert write(servo, "goal_current", -201) == OVER_LIMIT


def test_position_limits_do_not_bind_the_current_based_mode(servo):
    write(servo, "max_position_limit", 3000)
    write(servo, "operating_mode", 5)
    assert write(servo, "goal_position", 5000) == OK


def test_a_new_operating_mode_resets_gains_and_profile(servo):
    write(servo, "position_p_gain", 100)
    write(servo, "profile_velocity", 30)
    write(servo, "operating_mode", 5)
    assert servo.get("position_p_gain") == 800
    assert servo.get("profile_velocity") == 0


def test_the_secondary_id_opens_the_ram_only(servo):
    assert write(servo, "velocity_limit", 100, secondary=True) == NO_ACCESS
    assert write(servo, "position_p_gain", 100, secondary=True) == OK


@pytest.mark.parametrize(
    ("mounting", "drive_mode", "shown"), [(1, 0, 2148), (1, 1, 1948), (-1, 0, 1948), (-1, 1, 2148)]
)
def test_mounting_and_drive_mode_turn_the_position_round(mounting, drive_mode, shown):
    servo = VirtualServo("xm540-w270", 1, mounting)
    write(servo, "drive_mode", drive_mode)
    servo.show(100.0, 0, 0, 0)
    assert servo.present_ticks == shown


def test_the_homing_offset_is_added_unless_it_is_too_large_for_the_mode(servo):
    write(servo, "homing_offset", 50)
    assert servo.present_ticks == 2098
    write(servo, "homing_offset", 1025)
    assert servo.present_ticks == 2048
    write(servo, "operating_mode", 4)
    assert servo.present_ticks == 3073


def test_torque_holds_the_present_position(servo):
    servo.show(300.0, 2348, 0, 0)
    write(servo, "torque_enable", 1)
    assert servo.goal_ticks == 2348


def test_a_goal_written_before_the_torque_counts(servo):
    """Pinned: whoever leaves an old goal there and switches the torque on sees the arm jump."""
    write(servo, "goal_position", 1000)
    write(servo, "torque_enable", 1)
    assert servo.goal_ticks == 1000
    write(servo, "torque_enable", 0)
    write(servo, "torque_enable", 1)
    assert servo.goal_ticks == servo.present_ticks


class TestTurns:
    """Of a limp joint that a hand has turned further than its servo counts by itself."""

    @pytest.fixture
    def turned(self, servo):
        servo.show(2100.0, 4148, 0, 0)
        return servo

    def test_torque_in_position_control_forgets_them(self, turned):
        assert turned.present_ticks == 4148
        write(turned, "torque_enable", 1)
        assert turned.get("present_position") == turned.present_ticks == turned.goal_ticks == 52

    def test_a_goal_from_before_the_torque_is_then_a_turn_away(self, turned):
        write(turned, "goal_position", 4095)
        write(turned, "torque_enable", 1)
        assert (turned.present_ticks, turned.goal_ticks) == (52, 4095)

    def test_torque_in_other_modes_keeps_them_and_the_change_to_position_control_does_not(
        self, turned
    ):
        write(turned, "operating_mode", 4)
        write(turned, "torque_enable", 1)
        assert turned.present_ticks == turned.goal_ticks == 4148
        write(turned, "torque_enable", 0)
        write(turned, "operating_mode", 3)
        assert turned.get("present_position") == 52

    def test_a_reboot_forgets_them_in_every_mode(self, turned):
        write(turned, "operating_mode", 5)
        turned.reboot(now_s=1.0)
        assert turned.get("present_position") == turned.get("goal_position") == 52

    def test_the_homing_offset_comes_on_top(self, servo):
        """Source: forum.robotis.com, topic 7814: with an offset of -512, 3700 becomes -396."""
        write(servo, "homing_offset", -512)
        servo.show(3700.0 + 512 - 2048, 3700, 0, 0)
        assert servo.present_ticks == 3700
        write(servo, "torque_enable", 1)
        assert servo.present_ticks == -396

    @given(st.integers(-20_000, 20_000), st.integers(-1024, 1024), st.sampled_from((1, -1)))
    def test_whole_turns_are_lost_and_nothing_else(self, shaft, offset, mounting):
        servo = VirtualServo("xm540-w270", 1, mounting)
        write(servo, "homing_offset", offset)
        servo.show(shaft, 0, 0, 0)
        before = servo.present_ticks
        write(servo, "torque_enable", 1)
        assert (before - servo.present_ticks) % 4096 == 0
        assert 0 <= servo.present_ticks - offset < 4096


class TestBusWatchdog:
    @pytest.fixture
    def watched(self, servo):
        servo.show(200.0, 2248, 0, 0)
        write(servo, "torque_enable", 1)
        write(servo, "goal_position", 3000)
        write(servo, "bus_watchdog", 5)
        return servo

    def test_it_trips_after_its_time_without_a_packet(self, watched):
        watched.heard_s = 10.0
        watched.watch(now_s=10.1)
        assert watched.get("bus_watchdog") == 5
        watched.watch(now_s=10.11)
        assert watched.get("bus_watchdog") == -1

    def test_a_trip_stops_the_servo_and_refuses_goals_until_it_is_cleared(self, watched):
        watched.watch(now_s=1.0)
        assert watched.torque
        assert watched.goal_ticks == 2248
        assert write(watched, "goal_position", 2300) == OUT_OF_RANGE
        assert write(watched, "goal_velocity", 1) == OUT_OF_RANGE
        assert watched.goal_ticks == 2248
        assert write(watched, "bus_watchdog", 0) == OK
        assert write(watched, "goal_position", 2300) == OK

    def test_it_sleeps_while_the_torque_is_off(self, watched):
        write(watched, "torque_enable", 0)
        watched.watch(now_s=1.0)
        assert watched.get("bus_watchdog") == 5


class TestHardwareError:
    def test_it_takes_the_torque_and_shows_an_alert(self, servo):
        write(servo, "torque_enable", 1)
        servo.fail(0x20)
        assert servo.alert == 0x80
        assert not servo.torque
        assert servo.get("torque_enable") == 0
        assert write(servo, "torque_enable", 1) == FAILED

    def test_what_shutdown_does_not_name_leaves_the_torque(self, servo):
        write(servo, "torque_enable", 1)
        servo.fail(0x01)  # voltage: not in the factory's shutdown mask of 52
        assert servo.alert == 0x80
        assert servo.torque

    def test_a_reboot_clears_it_and_the_ram_but_not_the_eeprom(self, servo):
        write(servo, "velocity_limit", 131)
        write(servo, "position_p_gain", 100)
        write(servo, "torque_enable", 1)
        servo.fail(0x20)
        servo.reboot(now_s=1.0)
        assert servo.alert == 0
        assert not servo.torque
        assert servo.get("position_p_gain") == 800
        assert servo.get("velocity_limit") == 131
        assert write(servo, "torque_enable", 1) == OK


@given(st.integers(0, 200), st.binary(min_size=1, max_size=60))
def test_no_write_breaks_a_servo(address, data):
    servo = VirtualServo("xm430-w350", 1)
    assert servo.write(address, data) in range(8)
    for register in servo.table.values():
        value = servo.get(register.name)
        if register.writable and register.low is not None and register.name != "goal_position":
            assert register.low <= value <= register.high, register.name
