"""The bus when servos and lines fail: what it says, what it keeps, how it goes on."""

import numpy as np
import pytest

from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.errors import AnswerDamaged, PortLost, PortMissing
from aloha_stack.dynamixel.packets import status
from aloha_stack.twin.faults import Fault
from dynamixel.bus_conformance import eventually
from dynamixel.health_conformance import watched
from twin.virtual_rig import Tampered, rig

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


def hurt(live, change) -> None:
    """Every answer passes through `change`."""
    live.port.arm = Tampered(live.virtual, change)


def heal(live) -> None:
    live.port.arm = live.virtual


def flip(reply: bytes) -> bytes:
    """The second answer of a burst, or the only one, with a wrong bit in its data."""
    at = 30 if len(reply) > 40 else 9
    return reply[:at] + bytes((reply[at] ^ 0x10,)) + reply[at + 1 :] if len(reply) > at else reply


# -- damage and silence -----------------------------------------------------------------------


def test_a_damaged_answer_costs_one_servo_and_is_told_apart_from_silence(live, bus):
    live.virtual.servos[9].silent = True
    hurt(live, flip)
    state = bus.read()
    assert state.missing == (2, 9)
    assert state.damaged == (2,)
    assert np.isfinite(state.position[[0, 2, 3, 4, 5]]).all()
    heal(live)
    live.virtual.servos[9].silent = False
    assert bus.read().damaged == ()
    assert bus.read().complete


def test_the_same_id_twice_is_damage_and_found_by_the_check(live, bus):
    live.port.inject(Fault("duplicate_id", servo=7))
    assert eventually(lambda: bus.read().damaged == (7,))
    with pytest.raises(AnswerDamaged, match=r"servo 7 \(wrist_angle\) are damaged.*two servos"):
        bus.check()
    live.port.clear()
    assert eventually(lambda: bus.read().complete)
    bus.check()


def test_two_shadows_of_one_id_are_told_apart_from_a_silent_one(live, bus):
    live.port.inject(Fault("duplicate_id", servo=5))
    looks = []
    assert eventually(lambda: looks.append(dict(bus.watch())) or looks[-1][5].damaged)
    assert not looks[-1][5].answered
    assert [i for i, one in looks[-1].items() if one.damaged] == [5]
    live.port.clear()
    live.virtual.servos[5].silent = True
    assert eventually(lambda: not bus.watch()[5].damaged)
    assert not bus.watch()[5].answered


def test_a_register_whose_answers_are_damaged_is_no_silent_servo(live, bus):
    hurt(live, flip)
    with pytest.raises(AnswerDamaged, match=r"servo 6 \(forearm_roll\).*connector") as caught:
        bus.read_register(6, "position_p_gain")
    assert caught.value.ids == (6,)
    with pytest.raises(AnswerDamaged) as caught:
        bus.torque()
    assert len(caught.value.ids) == 1
    heal(live)
    assert bus.read_register(6, "position_p_gain") == 800


def test_one_damaged_answer_is_asked_for_again(live, bus):
    left = [2]

    def twice(reply: bytes) -> bytes:
        if not reply or not left[0]:
            return reply
        left[0] -= 1
        return flip(reply)

    hurt(live, twice)
    assert bus.read_register(6, "position_p_gain") == 800
    left[0] = 2
    assert not any(bus.torque().values())


def test_an_intact_answer_of_the_wrong_length_is_no_value(live, bus):
    hurt(live, lambda reply: status(6, 0, b"\x01") if reply else reply)
    with pytest.raises(AnswerDamaged):
        bus.read_register(6, "position_p_gain")


def test_an_old_answer_in_front_of_the_right_one_is_not_taken(live, bus):
    old = status(6, 0, (77).to_bytes(2, "little"))
    hurt(live, lambda reply: old + reply if reply else reply)
    assert bus.read_register(6, "position_p_gain") == 800


def test_a_servo_that_came_back_is_read_again_at_once(live, bus):
    live.virtual.servos[9].silent = True
    for _ in range(10):
        assert bus.read().missing == (9,)
    live.virtual.servos[9].silent = False
    assert bus.read().complete


def test_noise_makes_no_number_and_no_error_that_is_not_a_bus_error(live, bus):
    bus.read()
    whole = bus.read().position
    live.port.inject(Fault("crc_noise", strength=0.05))
    assert eventually(lambda: bus.read().damaged)
    for _ in range(30):
        state = bus.read()
        known = np.isfinite(state.position)
        assert np.array_equal(state.position[known], whole[known])
    live.port.clear()
    assert eventually(lambda: bus.read().complete)


def test_a_write_that_noise_has_eaten_is_sent_again(live, bus):
    handle, eaten = live.virtual.handle, []

    def deaf_once(data: bytes) -> bytes:
        if not eaten and b"\x83\x40\x00\x01\x00" in data:  # a sync write to torque_enable
            eaten.append(data)
            return b""
        return handle(data)

    live.virtual.handle = deaf_once
    bus.set_torque(True)
    assert eaten
    assert all(bus.torque().values())


def test_answers_that_come_late_are_told_of_until_all_is_in_time_again(tmp_path):
    with rig(tmp_path, wire_time=True) as live:
        bus = DynamixelBus(live.arm)
        bus.open()
        assert not bus.read().late
        live.port.inject(Fault("slow_bus", strength=150.0))  # longer than anybody waits
        assert eventually(lambda: bus.read().late)
        live.port.clear()
        assert eventually(lambda: not bus.read().late)
        assert bus.read().complete
        bus.close()


# -- health -----------------------------------------------------------------------------------


def test_a_silent_shadow_shows_in_the_looks_though_the_cycle_never_asks_it(live, bus):
    watched(bus)
    live.virtual.servos[5].silent = True
    assert bus.read().complete
    health = bus.watch()
    assert [i for i, one in health.items() if not one.answered] == [5]
    assert health[5].torque is False  # as it was last heard
    assert health[5].requests - health[5].answers == 1


def test_what_ails_a_servo_is_told_within_a_round_of_looks(live, bus):
    bus.set_torque(True)
    bus.set_watchdog(2.0)
    watched(bus)
    live.virtual.servos[3].fail(0x20)
    live.virtual.servos[8].put("torque_enable", 0)
    live.virtual.servos[4].put("bus_watchdog", -1)
    live.virtual.servos[6].put("present_temperature", 71)
    live.virtual.servos[6].put("present_input_voltage", 101)
    health = watched(bus)
    assert {i: one.hardware_error for i, one in health.items() if one.hardware_error} == {
        3: ("overload",)
    }
    assert [i for i, one in health.items() if not one.torque] == [3, 8]
    assert [i for i, one in health.items() if one.watchdog_tripped] == [4]
    assert health[6].temperature_c == 71.0
    assert health[6].voltage_v == pytest.approx(10.1)


def test_an_error_that_is_gone_is_not_told_any_more(live, bus):
    live.virtual.servos[3].fail(0x20)
    assert watched(bus)[3].hardware_error == ("overload",)
    live.virtual.servos[3].put("hardware_error_status", 0)
    assert all(one.hardware_error == () for one in watched(bus).values())


def test_an_answer_without_the_alert_bit_ends_an_error_whatever_was_asked_for(live, bus):
    live.virtual.servos[3].fail(0x20)
    assert bus.watch()[3].hardware_error == ("overload",)  # asked for torque and error
    live.virtual.servos[3].put("hardware_error_status", 0)
    assert bus.watch()[3].hardware_error == ()  # asked for current and temperature


def test_torque_that_was_heard_before_it_was_changed_is_not_believed(live, bus):
    assert watched(bus)[6].torque is False
    bus.set_torque(True)
    live.virtual.servos[6].silent = True
    assert bus.watch()[6].torque is None


def test_torque_and_temperature_are_each_asked_for_in_turn(live, bus):
    asked = []
    handle = live.virtual.handle

    def listen(data: bytes) -> bytes:
        asked.append(int.from_bytes(data[8:10], "little"))
        return handle(data)

    live.virtual.handle = listen
    for _ in range(8):
        bus.watch()
    assert asked == [64, 126, 64, 98] * 2


def test_before_anything_was_heard_nothing_is_known(live, bus):
    for servo in live.virtual.servos.values():
        servo.silent = True
    for _ in range(4):
        health = bus.watch()
    for one in health.values():
        assert not one.answered
        assert one.torque is None
        assert one.watchdog_tripped is None
        assert np.isnan([one.voltage_v, one.temperature_c, one.current_a, one.position_rad]).all()
        assert one.answers == 0


# -- the port ---------------------------------------------------------------------------------


def test_a_port_that_is_plugged_in_again_is_opened_again(live, bus):
    bus.configure()
    live.port.inject(Fault("unplugged"))
    assert eventually(lambda: is_lost(bus.read))
    bus.close()
    live.port.clear()
    assert eventually(lambda: not is_lost(bus.open))
    bus.check()
    assert bus.read().complete


def is_lost(use) -> bool:
    try:
        use()
    except (PortLost, PortMissing):
        return True
    return False
