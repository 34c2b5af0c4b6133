"""The backend over Interbotix' driver, held against a stand-in with the driver's habits."""

import sys
import time

import numpy as np
import pytest
from rclpy.node import Node

from aloha_stack.dynamixel.errors import (
    NotTaken,
    PortBusy,
    PortLost,
    PortMissing,
    ServoRefused,
    ServoSilent,
    TorqueIsOn,
    WrongModel,
)
from aloha_stack.dynamixel.units import RAD_PER_TICK
from aloha_stack.robot.joints import ARM_JOINTS, JOINTS
from dynamixel.bus_conformance import BusConformance, eventually
from nodes.interbotix_messages import make_importable


@pytest.fixture(scope="module", autouse=True)
def messages():
    make_importable()


@pytest.fixture
def live(messages, tmp_path):
    from nodes.interbotix_rig import xs_rig

    with xs_rig(tmp_path) as live:
        yield live


@pytest.fixture
def impatient(monkeypatch):
    """An absent driver is given up on sooner."""
    monkeypatch.setattr("aloha_stack.nodes.interbotix_driver.OPEN_LIMIT_S", 0.5)


@pytest.fixture
def bus(live):
    bus = live.bus()
    bus.open()
    yield bus
    bus.close()


def readings(bus, duration_s, into=None):
    """Reads for so long, into a list."""
    end = time.monotonic() + duration_s
    while time.monotonic() < end:
        state = bus.read()
        if into is not None:
            into.append(state)


class TestFollowerBehindTheDriver(BusConformance):
    @pytest.fixture
    def make_bus(self, live):
        return live.bus


class TestLeaderBehindTheDriver(BusConformance):
    @pytest.fixture
    def make_bus(self, messages, tmp_path):
        from nodes.interbotix_rig import xs_rig

        with xs_rig(tmp_path, "leader_right") as live:
            yield live.bus


# -- finding the driver -----------------------------------------------------------------------


def test_without_the_messages_the_package_and_the_way_to_it_are_named(live, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("interbotix_xs_msgs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "interbotix_xs_msgs", None)
    with pytest.raises(ValueError, match=r"interbotix_xs_msgs.*interbotix_ros_core.*dynamixel"):
        live.bus()


def test_an_absent_driver_is_missed_by_the_names_of_its_topics_and_services(live, impatient):
    live.driver.die()
    with pytest.raises(PortMissing) as caught:
        live.bus().open()
    for part in (
        "follower_left",
        "/xs_follower_left/get_motor_registers",
        "/xs_follower_left/torque_enable",
        "/xs_follower_left/commands/joint_group",
        "/xs_follower_left/joint_states",
        "robot_name:=xs_follower_left",
    ):
        assert part in str(caught.value)


def test_a_driver_that_publishes_no_states_is_told_from_one_that_is_absent(live, impatient):
    live.driver.mute = True
    time.sleep(0.1)  # what was sent before may still arrive
    with pytest.raises(PortMissing, match=r"for /xs_follower_left/joint_states; start"):
        live.bus().open()


def test_where_the_driver_runs_is_a_parameter(live, impatient):
    from nodes.arm_rig import with_parameters

    elsewhere = Node("elsewhere", parameter_overrides=with_parameters(xs_namespace="robots/left/"))
    from aloha_stack.nodes.interbotix_bus import InterbotixBus

    with pytest.raises(PortMissing, match="/robots/left/joint_states"):
        InterbotixBus(live.arm, elsewhere).open()
    elsewhere.destroy_node()


def test_the_driver_does_not_share_our_names(live):
    from aloha_stack.nodes.interbotix_bus import InterbotixBus
    from nodes.arm_rig import with_parameters

    node = Node("elsewhere", parameter_overrides=with_parameters(xs_namespace="follower_left"))
    with pytest.raises(ValueError, match=r"taken for ours.*robot_name:=xs_follower_left"):
        InterbotixBus(live.arm, node)
    node.destroy_node()


def test_another_commander_of_the_driver_is_named(live):
    from interbotix_xs_msgs.msg import JointSingleCommand

    other = Node("joystick", use_global_arguments=False)
    other.create_publisher(JointSingleCommand, "/xs_follower_left/commands/joint_single", 1)
    assert eventually(lambda: live.node.count_publishers("/xs_follower_left/commands/joint_single"))
    with pytest.raises(PortBusy, match="in use: /joystick"):
        live.bus().open()
    other.destroy_node()


def test_clocks_that_differ_are_told_as_such(live):
    live.driver.age_s = 100.0
    time.sleep(0.05)
    with pytest.raises(PortMissing, match=r"100\.\d s old.*use_sim_time"):
        live.bus().open()


# -- checking the arm -------------------------------------------------------------------------


def test_a_driver_of_other_joints_is_refused(live, bus):
    live.driver.groups["arm"] = ARM_JOINTS[::-1]
    with pytest.raises(WrongModel, match=r"'arm' \('wrist_rotate'.*motor_configs"):
        bus.check()


def test_goals_that_the_driver_would_not_take_for_angles_are_found_before_the_first(live, bus):
    live.driver.group_modes["all"] = "pwm"
    with pytest.raises(WrongModel, match=r"'pwm'.*mode_configs"):
        bus.check()


def test_joint_states_of_another_robot_are_refused(live, bus):
    live.driver.names = ["pan", "tilt", "a", "b", "c", "d", "e", "f", "g"]
    with pytest.raises(WrongModel, match=r"pan, tilt.*not of waist, shoulder"):
        readings(bus, 5.0)


def test_joints_are_told_apart_by_name_in_whatever_order(live, bus):
    before = bus.read().position
    live.driver.names = ["left_finger", *JOINTS, "right_finger"]
    assert eventually(lambda: np.allclose(bus.read().position[:-1], before[1:], atol=0.01))


def test_silent_servos_and_shadows_are_named(live, bus):
    live.driver.port.late_ms = 20.0
    live.servos.servos[5].silent = True
    with pytest.raises(ServoSilent) as caught:
        bus.torque()
    assert caught.value.ids == (5,)
    live.servos.servos[6].silent = True
    with pytest.raises(ServoSilent, match=r"servo 5 \(elbow shadow\), servo 6 \(forearm_roll\)"):
        bus.check()


def test_another_model_in_the_chain_is_named(live, bus):
    live.servos.servos[8].put("model_number", 1120)
    with pytest.raises(WrongModel, match=r"servo 8 \(wrist_rotate\) is model 1120, not 1020"):
        bus.check()


def test_what_the_drivers_start_left_behind_is_put_right(live, bus):
    bus.configure()
    for servo_id in (1, 9):  # in the servos: the driver is busy with its port
        left = live.servos.servos[servo_id]
        left.load_eeprom({"operating_mode": 16})
        left.put("profile_velocity", 2000)
    live.servos.servos[1].load_eeprom({"drive_mode": 4})
    assert "servo 1 (waist): drive_mode = 0" in bus.configure()
    assert bus.read_register(9, "operating_mode") == 5
    assert bus.read_register(1, "profile_velocity") == 0


def test_eeprom_is_not_written_under_torque(live, bus):
    bus.configure()
    live.driver._write("waist", "Homing_Offset", 0)
    live.driver._write("waist", "Velocity_Limit", 200)
    bus.set_torque(True)
    with pytest.raises(TorqueIsOn, match="velocity_limit"):
        bus.configure()


def test_a_shadow_that_sits_askew_is_aligned(live, bus):
    live.servos.servos[3].seat_horn(40)
    live.servos.place(live.servos.position)
    assert any("servo 3 (shoulder shadow): homing_offset" in line for line in bus.configure())
    assert bus.read_register(3, "present_position") == pytest.approx(
        bus.read_register(2, "present_position"), abs=3
    )


# -- readings ---------------------------------------------------------------------------------


def test_a_reading_is_what_the_servos_say(live, bus):
    rest = np.asarray(live.arm.rest_pose)
    live.servos.place(rest + 0.2)
    assert eventually(lambda: np.allclose(bus.read().position, rest + 0.2, atol=RAD_PER_TICK))
    stamp_ns = bus.read().stamp_ns
    assert abs(time.time_ns() - stamp_ns) < 1e9


def test_no_reading_is_given_twice(live, bus):
    stamps = [bus.read().stamp_ns for _ in range(20)]
    assert len(set(stamps)) == len(stamps)


@pytest.mark.parametrize("nan_on_failure", [False, True])
def test_what_the_driver_makes_of_a_failed_reading_is_no_reading(live, bus, nan_on_failure):
    """Regression of the driver: one silent servo, and all joints are at -pi."""
    live.driver.nan_on_failure = nan_on_failure
    live.driver.port.late_ms = 20.0
    assert bus.read().complete
    live.servos.servos[6].silent = True
    assert eventually(lambda: not bus.read().complete)
    for _ in range(5):
        state = bus.read()
        assert state.missing == tuple(servo.id for servo in live.arm.addressed)
        for values in (state.position, state.velocity, state.effort):
            assert np.isnan(values).all()
    live.servos.servos[6].silent = False
    assert eventually(lambda: bus.read().complete)


def test_watching_names_the_one_that_is_silent(live, bus):
    def silent() -> list[int]:
        bus.read()
        return [i for i, one in bus.watch().items() if not one.answered]

    assert silent() == []
    live.driver.port.late_ms = 20.0
    live.servos.servos[4].silent = True
    assert eventually(lambda: silent() == [4])
    live.servos.servos[4].silent = False
    live.servos.servos[5].silent = True
    assert eventually(lambda: silent() == [5])


def test_a_single_lost_answer_silences_nobody(live, bus):
    bus.watch()
    live.servos.servos[1].silent = True
    assert eventually(lambda: bus.watch()[1].answers < bus.watch()[1].requests)
    live.servos.servos[1].silent = False
    for _ in range(20):
        assert bus.watch()[1].answered
        time.sleep(0.01)


def test_what_was_asked_before_a_change_is_no_news_after_it(live, bus):
    bus.watch()
    time.sleep(0.2)
    assert all(one.torque is None for one in bus.watch().values())  # it is being asked for
    time.sleep(0.2)
    bus.set_torque(True)
    for _ in range(3):
        assert all(one.torque for one in bus.watch().values())


def test_old_numbers_are_no_reading(live, bus):
    assert bus.read().complete
    live.driver.age_s = 3.0
    assert eventually(lambda: not bus.read().complete)
    assert np.isnan(bus.read().position).all()
    live.driver.age_s = 0.0
    assert eventually(lambda: bus.read().complete)


def test_a_driver_that_falls_silent_costs_patience_only_once(live, monkeypatch):
    from aloha_stack.nodes import interbotix_driver
    from aloha_stack.nodes.interbotix_bus import InterbotixBus

    waits, newer = [], interbotix_driver.XsDriver.newer

    def noted(driver, than, patience_s):
        sample = newer(driver, than, patience_s)
        if sample is None:
            waits.append(patience_s)
        return sample

    bus = InterbotixBus(live.arm, live.node, patience_s=0.3)
    bus.open()
    assert eventually(lambda: bus.read().complete)
    monkeypatch.setattr(interbotix_driver, "GONE_S", 60.0)
    monkeypatch.setattr(interbotix_driver.XsDriver, "newer", noted)
    live.driver.mute = True
    assert eventually(lambda: not bus.read().complete and len(waits) >= 3)
    assert waits == [0.3, 0.0, 0.0]
    bus.close()


def test_an_error_shows_in_the_readings_and_is_named_in_words(live, bus):
    live.servos.servos[4].fail(0x20)

    def alert() -> tuple[int, ...]:
        bus.watch()
        return bus.read().alert

    assert eventually(lambda: alert() == (4,))
    assert bus.hardware_errors() == {4: ("overload",)}
    assert bus.watch()[4].hardware_error == ("overload",)
    with pytest.raises(NotTaken, match=r"servo 4 \(elbow\)"):
        bus.set_torque(True)
    bus.reboot(4)
    assert bus.read().alert == ()
    bus.set_torque(True)
    assert all(bus.torque().values())


# -- goals ------------------------------------------------------------------------------------


def test_goals_reach_the_registers_to_the_tick(live, bus):
    bus.configure()
    for offset in (0.0, 0.1003, -0.0777):
        goals = np.clip(live.arm.start_pose + offset, live.arm.limits.lower, live.arm.limits.upper)
        written = bus.write_goals(goals)
        ticks = np.round(written / RAD_PER_TICK).astype(int) + 2048
        assert eventually(
            lambda ticks=ticks: (
                [live.servos.servos[servo.id].get("goal_position") for servo in live.arm.addressed]
                == ticks.tolist()
            )
        )


def test_currents_are_refused_where_the_driver_would_take_them_for_angles(live, bus):
    bus.configure()
    bus.set_torque(True)
    before = bus.read().position
    with pytest.raises(NotTaken, match="set_mode"):
        bus.write_currents(np.full(7, 0.1))
    bus.set_torque(False)
    bus.set_mode("current")
    bus.set_mode("position")
    with pytest.raises(NotTaken, match="set_mode"):
        bus.write_currents(np.full(7, 0.1))
    assert np.allclose(bus.read().position, before, atol=RAD_PER_TICK)


def test_a_register_that_does_not_take_a_value_is_a_refusal(bus):
    with pytest.raises(ServoRefused, match=r"servo 1 \(waist\) was told position_p_gain = 20000"):
        bus.write_register(1, "position_p_gain", 20000)
    with pytest.raises(ServoRefused, match="model_information"):
        bus.read_register(1, "model_information")


def test_while_a_servo_restarts_no_watchdog_trips(live, bus):
    live.driver.reboot_s = 0.4
    bus.configure()
    bus.set_torque(True)
    bus.set_watchdog(0.1)
    bus.reboot(9)
    assert {servo.get("bus_watchdog") for servo in live.servos.servos.values()} == {5}
    assert [i for i, on in bus.torque().items() if not on] == [9]


# -- losing the driver ------------------------------------------------------------------------


def test_a_driver_that_dies_in_mid_motion_is_lost_and_nothing_is_made_up(live, bus):
    bus.configure()
    bus.set_torque(True)
    bus.write_goals(bus.read().position + 0.1)
    last = bus.read().position
    live.driver.die()
    seen = []
    with pytest.raises(PortLost, match=r"driver is gone.*holds its last goal"):
        readings(bus, 10.0, seen)
    assert all(state.complete or np.isnan(state.position).all() for state in seen)
    assert sum(state.complete for state in seen) <= 2
    for use in (bus.read, bus.watch, bus.torque, lambda: bus.write_goals(last)):
        with pytest.raises(PortLost):
            use()


def test_a_driver_that_was_started_anew_is_not_the_one_that_was_configured(live, bus):
    from nodes.interbotix_standin import XsSdk

    for _ in range(3):
        assert bus.read().complete
    live.driver.die()
    anew = XsSdk(live.arm, "/xs_follower_left")
    try:
        with pytest.raises(PortLost, match="anew"):
            readings(bus, 5.0)
        bus.close()
        bus.open()
        assert bus.read().complete
    finally:
        anew.die()


def test_a_service_without_an_answer_is_named(live, bus):
    live.driver.deaf = True
    with pytest.raises(PortLost, match=r"/xs_follower_left/get_motor_registers gave no answer"):
        bus.read_register(1, "goal_position")
