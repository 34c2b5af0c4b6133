"""Raw register values to SI units and back, for Dynamixel X servos (source: ROBOTIS e-manual)."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from aloha_stack.robot.servos import (
    NM_PER_AMPERE,
    RAD_PER_TICK,
    RAD_S_PER_VELOCITY_UNIT,
    STALL,
    ZERO_TICKS,
)

__all__ = [
    "AMPERE_PER_CURRENT_UNIT",
    "NM_PER_UNIT",
    "RAD_PER_TICK",
    "RAD_S_PER_VELOCITY_UNIT",
    "VOLT_PER_UNIT",
    "WATCHDOG_UNIT_S",
    "ZERO_TICKS",
    "rad_to_ticks",
    "ticks_to_rad",
    "watchdog_steps",
]

WATCHDOG_UNIT_S = 0.020

VOLT_PER_UNIT = 0.1
AMPERE_PER_CURRENT_UNIT = 2.69e-3
NM_PER_UNIT: Mapping[str, float] = MappingProxyType(
    {
        model: AMPERE_PER_CURRENT_UNIT * NM_PER_AMPERE[model]
        if model in NM_PER_AMPERE
        else stall.torque_nm / 1000
        for model, stall in STALL.items()
    }
)
"""Torque of one unit of the register at address 126, by the servo's torque constant.

The XC430 has no current sensor: its register is the load, in 0.1 % of the stall torque. These are
estimates: friction in the gears is not in them.
"""


def ticks_to_rad(ticks: ArrayLike) -> np.ndarray:
    """Servo positions in ticks to joint angles, rad: (ticks - 2048) * 2 pi / 4096."""
    return (np.asarray(ticks) - ZERO_TICKS) * RAD_PER_TICK


def rad_to_ticks(rad: np.ndarray) -> np.ndarray:
    """Joint angles, rad, to the nearest ticks (int64, unbounded)."""
    return np.rint(np.asarray(rad) / RAD_PER_TICK).astype(np.int64) + ZERO_TICKS


def watchdog_steps(timeout_s: float) -> int:
    """A Bus Watchdog's time in its own steps; a ValueError if it cannot be so long, or so short."""
    steps = round(timeout_s / WATCHDOG_UNIT_S)
    if not 0 <= steps <= 127 or (timeout_s > 0 and steps == 0):
        raise ValueError(f"{timeout_s} s is no watchdog time: 0, or 0.02 … 2.54 s")
    return steps
