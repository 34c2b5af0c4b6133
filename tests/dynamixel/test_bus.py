"""The bus against virtual servos on a real pseudo-terminal."""

import time
from dataclasses import replace

import numpy as np
import pytest

from aloha_stack.dynamixel.bus import DynamixelBus
from aloha_stack.dynamixel.errors import (
    NotAsDescribed,
    NotTaken,
    PortLost,
    ServoRefused,
    ServoSilent,
    TorqueIsOn,
    WrongModel,
)
from aloha_stack.twin.servo import VirtualServo
from dynamixel.bus_conformance import BusConformance, eventually
from twin.virtual_rig import Tampered, rig


class TestFollowerBus(BusConformance):
    @pytest.fixture
    def make_bus(self, tmp_path):
        with rig(tmp_path, "follower_left") as live:
            yield lambda: DynamixelBus(live.arm)


class TestLeaderBus(BusConformance):
    @pytest.fixture
    def make_bus(self, tmp_path):
        with rig(tmp_path, "leader_right") as live:
            yield lambda: DynamixelBus(live.arm)


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


def test_a_silent_servo_is_named_by_arm_port_id_and_joint(live, bus):
    live.virtual.servos[6].silent = True
    with pytest.raises(ServoSilent) as caught:
        bus.check()
    assert caught.value.ids == (6,)
    for part in ("follower_left", live.arm.port, "servo 6", "forearm_roll", "power"):
        assert part in str(caught.value)


def test_a_silent_shadow_is_found_though_nothing_is_ever_read_from_it(live, bus):
    live.virtual.servos[5].silent = True
    with pytest.raises(ServoSilent, match=r"servo 5 \(elbow shadow\)"):
        bus.check()
    assert bus.read().complete


def test_another_model_in_the_chain_is_named(live, bus):
    live.virtual.servos[8].put("model_number", 1120)
    with pytest.raises(WrongModel, match=r"servo 8 \(wrist_rotate\) is model 1120, not 1020"):
        bus.check()


@pytest.mark.parametrize("silent", [(4,), (9,), (1, 9), (1, 2, 4, 6, 7, 8)])
def test_a_reading_keeps_every_servo_that_answers(live, bus, silent):
    whole = bus.read()
    for servo_id in silent:
        live.virtual.servos[servo_id].silent = True
    state = bus.read()
    assert state.missing == silent
    lost = np.array([servo.id in silent for servo in live.arm.addressed])
    for values, known in ((state.position, whole.position), (state.effort, whole.effort)):
        assert np.isnan(values[lost]).all()
        assert np.array_equal(values[~lost], known[~lost])


def test_a_reading_of_a_dead_arm_has_no_number_in_it(live, bus):
    for servo in live.virtual.servos.values():
        servo.silent = True
    state = bus.read()
    assert state.missing == (1, 2, 4, 6, 7, 8, 9)
    assert np.isnan(state.position).all()


def test_a_damaged_answer_costs_one_servo_only(live, bus):
    def damage(reply: bytes) -> bytes:
        return reply[:30] + bytes((reply[30] ^ 0x10,)) + reply[31:] if len(reply) > 100 else reply

    live.port.arm = Tampered(live.virtual, damage)
    state = bus.read()
    assert state.missing == (2,)


def test_an_alert_shows_in_the_reading_and_is_named_in_words(live, bus):
    live.virtual.servos[4].fail(0x20)
    state = bus.read()
    assert state.complete
    assert state.alert == (4,)
    assert bus.hardware_errors() == {4: ("overload",)}
    with pytest.raises(NotTaken, match=r"servo 4 \(elbow\)"):
        bus.set_torque(True)
    bus.reboot(4)
    assert bus.read().alert == ()
    bus.set_torque(True)
    assert all(bus.torque().values())


def test_a_reboot_does_not_let_the_other_watchdogs_trip(tmp_path):
    with rig(tmp_path, clock=lambda: 0.3 * time.monotonic()) as live:
        bus = DynamixelBus(live.arm)
        bus.open()
        reboot_beside_a_watchdog(bus)
        bus.close()


def reboot_beside_a_watchdog(bus: DynamixelBus) -> None:
    bus.set_torque(True)
    bus.set_watchdog(0.2)
    bus.reboot(9)  # silent for 0.25 s
    assert bus.read_register(1, "bus_watchdog") == 10


def test_goals_go_to_the_seven_addressed_servos_and_never_to_a_shadow(live, bus):
    bus.set_torque(True)
    written = bus.write_goals(live.arm.start_pose)
    assert eventually(lambda: len(live.virtual.written_goals) == 7)
    goals = {servo_id: ticks for _, servo_id, ticks in live.virtual.written_goals.copy()}
    assert tuple(goals) == (1, 2, 4, 6, 7, 8, 9)
    assert np.allclose((np.array(list(goals.values())) - 2048) * np.pi / 2048, written)
    # The shadows obey all the same, through their secondary IDs.
    assert live.virtual.servos[3].goal_ticks == goals[2]
    assert live.virtual.servos[5].goal_ticks == goals[4]


def test_torque_reaches_the_shadows(live, bus):
    bus.set_torque(True)
    assert live.virtual.servos[3].torque
    assert live.virtual.servos[5].torque


def test_a_servo_that_shadows_another_than_the_file_says_is_refused_unwritten(live, bus):
    live.virtual.servos[8].load_eeprom({"secondary_id": 6})
    with pytest.raises(NotAsDescribed, match=r"servo 8 \(wrist_rotate\) obeys ID 6 too"):
        bus.configure()
    assert live.virtual.servos[8].get("secondary_id") == 6


def test_a_servo_that_the_file_does_not_know_is_found_on_the_bus(live, bus):
    bus.check()
    stranger = VirtualServo("xm540-w270", 14)
    stranger.load_eeprom({"secondary_id": 4})
    live.virtual.line.attach(stranger)
    with pytest.raises(NotAsDescribed, match=r"knows nothing, ID 14; add them"):
        bus.check()


@pytest.mark.parametrize("servo_id", [4, 5])
def test_a_drive_mode_that_would_turn_a_pair_against_itself_is_not_written(live, bus, servo_id):
    bus.configure()
    wrong = {s.id: s.drive_mode for s in bus.arm.servos}[servo_id] ^ 1
    servos = tuple(
        replace(s, drive_mode=wrong, registers={**s.registers, "drive_mode": wrong})
        if s.id == servo_id
        else s
        for s in bus.arm.servos
    )
    bus.close()
    misled = DynamixelBus(replace(bus.arm, servos=servos))
    misled.open()
    with pytest.raises(NotAsDescribed, match=r"servo 4 \(elbow\), servo 5 \(elbow shadow\) agree"):
        misled.configure()
    misled.close()
    assert live.virtual.servos[servo_id].get("drive_mode") == wrong ^ 1


def test_configuring_repairs_what_differs_and_says_what(live, bus):
    live.virtual.servos[3].load_eeprom({"secondary_id": 255})
    live.virtual.servos[7].load_eeprom({"drive_mode": 0})
    live.virtual.servos[8].put("position_p_gain", 100)
    changes = bus.configure()
    assert set(changes) == {
        "servo 3 (shoulder shadow): secondary_id = 2",
        "servo 7 (wrist_angle): drive_mode = 1",
        "servo 8 (wrist_rotate): position_p_gain = 800",
    }
    assert bus.configure() == ()


@pytest.mark.parametrize("level", [0, 1])
def test_servos_that_were_told_to_be_quiet_are_configured_all_the_same(live, bus, level):
    for servo in live.virtual.servos.values():
        servo.write(68, bytes((level,)))
    live.virtual.servos[8].put("position_p_gain", 100)
    assert bus.configure() == ("servo 8 (wrist_rotate): position_p_gain = 800",)


def test_a_new_operating_mode_does_not_leave_reset_gains_behind(live, bus):
    live.virtual.servos[9].load_eeprom({"operating_mode": 3})
    live.virtual.servos[9].put("position_p_gain", 800)
    bus.configure()
    assert bus.configure() == ()


@pytest.mark.parametrize("ticks", [40, -300])
def test_a_shadow_that_sits_crooked_is_brought_to_agree_with_its_master(live, bus, ticks):
    live.virtual.servos[3].seat_horn(ticks)
    live.virtual.place(live.arm.start_pose)
    (change,) = bus.configure()
    assert change.startswith("servo 3 (shoulder shadow): homing_offset =")
    shadow, master = (bus.read_register(i, "present_position") for i in (3, 2))
    assert abs(shadow - master) <= 1
    assert bus.configure() == ()


def test_a_shadow_on_the_wrong_spline_is_refused(live, bus):
    live.virtual.servos[5].seat_horn(1500)
    live.virtual.place(live.arm.start_pose)
    with pytest.raises(
        NotTaken, match=r"servo 5 \(elbow shadow\) stands .* ticks off its master 4"
    ):
        bus.configure()
    assert bus.read_register(5, "homing_offset") == 0


def test_a_shadow_under_torque_is_not_touched(live, bus):
    live.virtual.servos[3].seat_horn(40)
    live.virtual.place(live.arm.start_pose)
    bus.set_torque(True)
    assert bus.configure() == ()


def test_eeprom_is_not_written_under_torque(live, bus):
    bus.set_torque(True)
    assert bus.configure() == ()  # nothing differs: nothing to drop the arm for
    bus.set_torque(False)
    bus.write_register(1, "velocity_limit", 100)
    bus.set_torque(True)
    with pytest.raises(TorqueIsOn, match=r"velocity_limit of servo 1.*park the arm"):
        bus.configure()
    assert all(bus.torque().values())


def test_a_refusal_says_which_register_and_why(bus):
    with pytest.raises(ServoRefused, match=r"servo 1 \(waist\) refused .*200000.*beyond a limit"):
        bus.write_register(1, "goal_position", 200_000)
    bus.set_torque(True)
    with pytest.raises(ServoRefused, match="EEPROM locked") as caught:
        bus.write_register(1, "velocity_limit", 100)
    assert caught.value.code == 7


def test_a_port_that_goes_away_is_said_to_be_lost(live, bus):
    assert bus.read().complete
    live.port.close()
    with pytest.raises(PortLost, match=r"follower_left.*ttyDXL_follower_left.*USB"):
        bus.read()
    with pytest.raises(PortLost):
        bus.write_goals(live.arm.start_pose)


def test_a_wrong_drive_mode_turns_the_joint_the_other_way(live, bus):
    bus.set_torque(True)
    pose = live.arm.start_pose
    bus.write_goals(pose)
    assert eventually(lambda: np.allclose(live.virtual.position, pose, atol=0.002))
    bus.set_torque(False)
    bus.write_register(7, "drive_mode", 0)
    bus.set_torque(True)
    bus.write_goals(pose)
    mirrored = -pose[4]
    assert eventually(lambda: abs(live.virtual.position[4] - mirrored) < 0.002)
