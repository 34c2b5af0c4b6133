"""Facts of the Dynamixel servos on ALOHA's arms.

Source: ROBOTIS e-manual of XM540-W270, XM430-W350 and XC430-W150 (model number at address 0, units
of positions and velocities; at 12 V no-load speed, stall torque and stall current).
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

MODEL_NUMBERS: Mapping[str, int] = MappingProxyType(
    {"xm540-w270": 1120, "xm430-w350": 1020, "xc430-w150": 1070}
)
NO_LOAD_RPM: Mapping[str, float] = MappingProxyType(
    {"xm540-w270": 30.0, "xm430-w350": 46.0, "xc430-w150": 106.0}
)


class Stall(NamedTuple):
    """A servo that is held fast, at 12 V."""

    torque_nm: float
    current_a: float


STALL: Mapping[str, Stall] = MappingProxyType(
    {
        "xm540-w270": Stall(10.6, 4.4),
        "xm430-w350": Stall(4.1, 2.3),
        "xc430-w150": Stall(1.6, 1.4),
    }
)
NM_PER_AMPERE: Mapping[str, float] = MappingProxyType(
    {
        model: STALL[model].torque_nm / STALL[model].current_a
        for model in ("xm540-w270", "xm430-w350")
    }
)
"""Torque constants of the models that can be given a current: stall torque over stall current.

Friction in the gears is not in them: on metal they are estimates. Interbotix drives the gravity
compensation of ALOHA's leaders with half of this (interbotix_xsarm_gravity_compensation,
motor_specs_aloha_wx250s.yaml: 0.897 N·m/A for one XM430-W350, 1.793 for a pair).
"""

TICKS_PER_TURN = 4096
ZERO_TICKS = 2048
RAD_PER_TICK = 2 * math.pi / TICKS_PER_TURN
RAD_S_PER_VELOCITY_UNIT = 0.229 * 2 * math.pi / 60
"""Velocities count 0.229 rev/min."""
FULL_PWM = 885
"""pwm_limit of a servo that may use all of its voltage."""

BAUD_RATES = (9600, 57600, 115200, 1_000_000, 2_000_000, 3_000_000, 4_000_000)
POSITION = 3
"""The operating mode in which a servo goes to goal positions within one turn."""

WARM_C = 60
"""Warned of from here: a servo shuts down at its temperature_limit, 80 by default."""
SUPPLY_V = (11.0, 13.0)
"""What a servo should see of ALOHA's 12 V; outside it the supply, a plug or a cable is bad."""


def fastest_rad_s(model: str, registers: Mapping[str, int]) -> float:
    """What a servo of `model` with these registers turns at most, unloaded at 12 V, rad/s."""
    pwm = registers.get("pwm_limit", FULL_PWM) / FULL_PWM
    no_load = NO_LOAD_RPM[model] * 2 * math.pi / 60 * min(pwm, 1.0)
    if "velocity_limit" not in registers:
        return no_load
    return min(no_load, registers["velocity_limit"] * RAD_S_PER_VELOCITY_UNIT)
