"""What is told to be wrong with an arm, from readings and looks."""

from pathlib import Path

import numpy as np

from aloha_stack.control.arm_modes import Settings
from aloha_stack.dynamixel.arm_bus import BusState
from aloha_stack.nodes._arm_health import ArmHealth
from twin.virtual_rig import arm_at

IDS = (1, 2, 4, 6, 7, 8, 9)


def unheard(late: bool) -> BusState:
    nothing = np.full(7, np.nan)
    return BusState(nothing, nothing, nothing, missing=IDS, late=late)


def health_after(tmp_path: Path, late: bool) -> ArmHealth:
    """Ten cycles of 40 ms in which nobody answered in time."""
    health = ArmHealth(arm_at(tmp_path), Settings())
    for cycle in range(10):
        health.pace.add(0.04, 0.04, 0.036)
        health.saw(unheard(late), 0.04 * cycle)
    return health


def test_answers_that_are_all_late_make_a_slow_bus_and_no_silent_servos(tmp_path: Path) -> None:
    found = health_after(tmp_path, late=True).found(0.4, held=True)
    assert found.sick == ""
    assert "the bus is slow: a cycle takes 40 ms, 10 are allowed" in found.slow


def test_answers_that_never_come_are_silence_and_make_no_bus_slow(tmp_path: Path) -> None:
    found = health_after(tmp_path, late=False).found(0.4, held=True)
    assert "no servo answers" in found.sick
    assert found.slow == ""
