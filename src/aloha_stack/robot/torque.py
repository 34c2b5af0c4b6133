"""What the servo models exert: torque in N·m, torque per ampere.

Stall torque and stall current at 12 V are ROBOTIS' (e-manual); a servo's torque constant is taken
as their ratio. Friction in the gears is not in it: on metal the constant is an estimate.
Interbotix drives the gravity compensation of ALOHA's leaders with half of it
(interbotix_xsarm_gravity_compensation, motor_specs_aloha_wx250s.yaml: 0.897 N·m/A for one
XM430-W350, 1.793 for a pair).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


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
        model: stall.torque_nm / stall.current_a
        for model, stall in STALL.items()
        if model.startswith("xm")
    }
)
"""Torque constants of the models that can be given a current. The XC430 measures none."""
