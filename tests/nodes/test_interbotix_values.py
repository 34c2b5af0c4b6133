"""The driver's arithmetic and names, without the driver."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.dynamixel.control_table import register_of
from aloha_stack.nodes.interbotix_values import (
    current_commands,
    failed_joints,
    goal_commands,
    register_name,
    register_value,
)
from aloha_stack.robot.description import load_robot
from nodes.interbotix_standin import driver_current, driver_ticks

SERVOS = load_robot("twin", {"ALOHA_PORTS": "ports"}).arm("follower_left").addressed
REST = np.array([0.0, -1.7, 1.55, 0.0, 0.65, 0.0, -0.3])


@given(st.integers(-20_000, 20_000))
def test_the_driver_writes_the_tick_that_was_meant(tick):
    assert driver_ticks(goal_commands(np.array([tick]))[0]) == tick


def test_every_tick_of_a_turn_comes_through():
    ticks = np.arange(4096)
    assert [driver_ticks(command) for command in goal_commands(ticks)] == ticks.tolist()


@given(st.integers(-2047, 2047))
def test_the_driver_writes_the_current_that_was_meant(units):
    assert driver_current(current_commands(np.array([units]))[0]) == units


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("id", "ID"),
        ("led", "LED"),
        ("pwm_limit", "PWM_Limit"),
        ("secondary_id", "Secondary_ID"),
        ("protocol_type", "Protocol_Version"),
        ("feedforward_2nd_gain", "Feedforward_2nd_Gain"),
        ("hardware_error_status", "Hardware_Error_Status"),
        ("bus_watchdog", "Bus_Watchdog"),
    ],
)
def test_registers_have_the_names_that_the_driver_knows(ours, theirs):
    assert register_name(ours) == theirs


@pytest.mark.parametrize(
    ("name", "told", "meant"),
    [
        ("bus_watchdog", 255, -1),
        ("bus_watchdog", 25, 25),
        ("pwm_limit", -1, 65535),
        ("goal_current", -30, -30),
        ("present_position", -5, -5),
    ],
)
def test_signs_that_the_driver_loses_are_found_again(name, told, meant):
    assert register_value(register_of("xm540-w270", name), told) == meant


def failed(position, velocity=0.0, effort=0.0):
    shape = np.zeros(7)
    return failed_joints(np.asarray(position), shape + velocity, shape + effort, SERVOS).tolist()


@pytest.mark.parametrize("nothing", [-np.pi, float(np.float32(-np.pi)), -3.1431247])
def test_all_joints_at_minus_pi_are_no_reading_even_with_currents_from_before(nothing):
    assert failed([nothing] * 7, effort=120.0) == [True] * 7


def test_a_joint_may_really_be_at_minus_pi():
    position = REST.copy()
    position[0] = -np.pi
    assert failed(position) == [False] * 7


def test_where_one_joint_cannot_be_at_minus_pi_no_joint_that_says_so_is_believed():
    position = REST.copy()
    position[[0, 1]] = -np.pi
    assert failed(position) == [True, True, False, False, False, False, False]


@given(st.lists(st.floats(-3.1, 3.1), min_size=7, max_size=7))
def test_measurements_are_believed(position):
    assert failed(position) == [False] * 7


@given(st.integers(0, 6), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_no_number_is_no_measurement(joint, value):
    position = REST.copy()
    position[joint] = value
    assert failed(position) == [k == joint for k in range(7)]
