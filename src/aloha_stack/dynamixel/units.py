"""Raw register values to SI units and back, for Dynamixel X servos (source: ROBOTIS e-manual)."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from aloha_stack.robot.servos import NM_PER_AMPERE, STALL

TICKS_PER_TURN = 4096
ZERO_TICKS = 2048
RAD_PER_TICK = 2 * math.pi / TICKS_PER_TURN
RAD_S_PER_VELOCITY_UNIT = 0.229 * 2 * math.pi / 60
"""Velocities count 0.229 rev/min."""
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


def ticks_to_rad(ticks: np.ndarray) -> np.ndarray:
    """Servo positions in ticks to joint angles, rad: (ticks - 2048) * 2 pi / 4096."""
    return (np.asarray(ticks) - ZERO_TICKS) * RAD_PER_TICK


def rad_to_ticks(rad: np.ndarray) -> np.ndarray:
    """Joint angles, rad, to the nearest ticks (int64, unbounded)."""
    return np.rint(np.asarray(rad) / RAD_PER_TICK).astype(np.int64) + ZERO_TICKS
