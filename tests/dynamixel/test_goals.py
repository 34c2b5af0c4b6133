"""Goals are the nearest that a servo takes, and numbers that are none are refused by joint."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloha_stack.dynamixel.goals import MOST_TICKS, Goals
from aloha_stack.dynamixel.units import (
    AMPERE_PER_CURRENT_UNIT,
    RAD_PER_TICK,
    rad_to_ticks,
    ticks_to_rad,
)
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import JOINTS

ROBOT = load_robot("twin", {"ALOHA_PORTS": "ports"})
ARMS = [ROBOT.arm("follower_left"), ROBOT.arm("leader_right")]
sevens = st.lists(st.floats(-1e3, 1e3), min_size=7, max_size=7).map(np.array)


def goals_of(arm, limit: int = 100) -> Goals:
    return Goals(arm, lambda servo_id, name: limit)


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
@given(position=sevens)
def test_goals_are_the_nearest_ticks_within_what_the_servos_take(arm, position):
    ticks = goals_of(arm).ticks(position)
    for servo, rad, tick in zip(arm.addressed, position, ticks, strict=True):
        if servo.registers["operating_mode"] == 3:
            low = servo.registers.get("min_position_limit", 0)
            high = servo.registers.get("max_position_limit", 4095)
        else:
            low, high = -MOST_TICKS, MOST_TICKS
        assert low <= tick <= high
        assert tick == np.clip(rad_to_ticks(rad), low, high)
        if low < tick < high:
            assert abs(ticks_to_rad(tick) - rad) <= RAD_PER_TICK / 2 + 1e-9


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
@given(current=sevens)
def test_currents_are_cut_at_the_limits_and_given_to_those_who_know_them(arm, current):
    goals = goals_of(arm)
    for k, units in enumerate(goals.currents(current)):
        wanted = np.clip(np.rint(current[k] / AMPERE_PER_CURRENT_UNIT), -100, 100)
        assert units == (wanted if k in goals.with_current else 0)


def test_current_limits_are_asked_for_once_and_again_after_another_set_up():
    asked = []
    goals = Goals(ARMS[0], lambda servo_id, name: asked.append((servo_id, name)) or 100)
    goals.currents(np.zeros(7))
    goals.currents(np.zeros(7))
    ids = [ARMS[0].addressed[k].id for k in goals.with_current]
    assert asked == [(servo_id, "current_limit") for servo_id in ids]
    goals.forget()
    goals.currents(np.zeros(7))
    assert len(asked) == 2 * len(ids)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_by_joint(number):
    values = np.zeros(7)
    values[2] = number
    with pytest.raises(ValueError, match=rf"goal of {JOINTS[2]} is not a number"):
        goals_of(ARMS[0]).ticks(values)
    with pytest.raises(ValueError, match=r"currents have shape \(6,\), expected \(7,\)"):
        goals_of(ARMS[0]).currents(np.zeros(6))
