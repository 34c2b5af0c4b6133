"""How Interbotix' driver names and counts things, and which of its numbers are none.

Sources, read for their behaviour: Interbotix' interbotix_ros_core (xs_sdk, branches humble to
jazzy), interbotix_xs_driver and dynamixel-workbench (branch ros2).
"""

from collections.abc import Sequence

import numpy as np

from aloha_stack.dynamixel.control_table import Register
from aloha_stack.dynamixel.units import RAD_PER_TICK, ZERO_TICKS
from aloha_stack.robot.description import Servo

MILLIAMPERE_PER_UNIT = 2.69
"""Efforts and goal currents of the driver are mA, 2.69 to a unit of the register, whatever the
model: of a servo without a current sensor it is the load that is multiplied so."""

NEVER_HERE_RAD = -np.pi
"""What the driver makes of a reading that failed: zeros, and so position 0 ticks, on all joints."""
NEVER_HERE_WITHIN_RAD = 1.5 * RAD_PER_TICK
"""Some versions of its arithmetic come to -2049 ticks instead of -2048."""

UNKNOWN_REGISTERS = frozenset({"model_information"})
"""Registers of our control tables that the driver has no name for."""
_ABBREVIATIONS = frozenset({"id", "led", "pwm"})
_OTHER_NAMES = {"protocol_type": "Protocol_Version"}


def register_name(name: str) -> str:
    """The driver's name of a register: position_p_gain is its Position_P_Gain."""
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    words = name.split("_")
    return "_".join(word.upper() if word in _ABBREVIATIONS else word.capitalize() for word in words)


def motor_name(servo: Servo) -> str:
    """The driver's name of a servo: its joint, or the joint's with _shadow behind it."""
    return servo.joint if servo.shadow_of is None else f"{servo.joint}_shadow"


def register_value(register: Register, value: int) -> int:
    """What the driver's answer means: it gives single bytes without their sign, pairs with one."""
    low_bytes = value & ((1 << 8 * register.size) - 1)
    return register.decode(low_bytes.to_bytes(register.size, "little"))


def goal_commands(ticks: np.ndarray) -> np.ndarray:
    """The angles (n,) rad by which the driver writes exactly these goals (n,) ticks.

    It multiplies by 2048 / pi, adds 2048 and drops what is behind the point: the middle of each
    tick survives that, its edge would often come out one tick lower.
    """
    return (ticks - ZERO_TICKS + np.where(ticks >= 0, 0.5, -0.5)) * RAD_PER_TICK


def current_commands(units: np.ndarray) -> np.ndarray:
    """The currents (n,) mA by which the driver writes exactly these goal currents (n,) in units."""
    return (units + 0.5 * np.sign(units)) * MILLIAMPERE_PER_UNIT


def failed_joints(
    position: np.ndarray, velocity: np.ndarray, effort: np.ndarray, servos: Sequence[Servo]
) -> np.ndarray:
    """Which joints (n,) bool of a message hold no measurement; all arguments in its order.

    NaN and infinities are none. Neither is -pi, where the driver had no answer and says so by a
    zero: on all joints at once, for its reading is all or nothing, or on a joint whose limits
    exclude it; the other joints that say -pi in the same message are not believed then.
    """
    broken = ~(np.isfinite(position) & np.isfinite(velocity) & np.isfinite(effort))
    zeros = np.abs(position - NEVER_HERE_RAD) < NEVER_HERE_WITHIN_RAD
    excluded = np.array([servo.registers.get("min_position_limit", 0) > 0 for servo in servos])
    return broken | zeros if zeros.all() or (zeros & excluded).any() else broken
