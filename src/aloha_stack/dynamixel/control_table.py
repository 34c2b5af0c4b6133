"""Control tables of the Dynamixel X servos on ALOHA's arms.

Source: ROBOTIS e-manual, "Control Table of EEPROM Area" and "... of RAM Area" of XM540-W270,
XM430-W350 and XC430-W150 (addresses, sizes, access, initial values and ranges). Indirect addresses,
external ports and the backup registers are left out: nothing here uses them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from aloha_stack.robot.description import MODEL_NUMBERS


@dataclass(frozen=True, slots=True)
class Register:
    """One entry of a control table; `low` and `high` bound what may be written (None: no bound)."""

    name: str
    address: int
    size: int
    signed: bool = False
    eeprom: bool = False
    writable: bool = True
    default: int = 0
    low: int | None = None
    high: int | None = None

    def encode(self, value: int) -> bytes:
        """`value` as this register's little-endian bytes; a ValueError names what does not fit."""
        try:
            return int(value).to_bytes(self.size, "little", signed=self.signed)
        except OverflowError as error:
            raise ValueError(
                f"{value} does not fit {self.name} ({self.size} bytes, "
                f"{'signed' if self.signed else 'unsigned'})"
            ) from error

    def decode(self, data: bytes | bytearray) -> int:
        """The value of this register's bytes."""
        return int.from_bytes(data, "little", signed=self.signed)


def _rom(name: str, address: int, size: int, default: int, low: int, high: int) -> Register:
    return Register(name, address, size, low < 0, True, True, default, low, high)


def _ram(name: str, address: int, size: int, default: int, low: int, high: int) -> Register:
    return Register(name, address, size, low < 0, False, True, default, low, high)


def _seen(name: str, address: int, size: int, signed: bool = False, default: int = 0) -> Register:
    """A register that can only be read."""
    return Register(name, address, size, signed, address < 64, False, default)


_INT32 = 2**31 - 1
_X_SERIES = (
    _seen("model_number", 0, 2),
    _seen("model_information", 2, 4),
    _seen("firmware_version", 6, 1, default=45),
    _rom("id", 7, 1, 1, 0, 252),
    _rom("baud_rate", 8, 1, 1, 0, 7),
    _rom("return_delay_time", 9, 1, 250, 0, 254),
    _rom("drive_mode", 10, 1, 0, 0, 5),
    _rom("operating_mode", 11, 1, 3, 0, 16),
    _rom("secondary_id", 12, 1, 255, 0, 255),
    _rom("protocol_type", 13, 1, 2, 1, 2),
    _rom("homing_offset", 20, 4, 0, -1_044_479, 1_044_479),
    _rom("moving_threshold", 24, 4, 10, 0, 1023),
    _rom("temperature_limit", 31, 1, 80, 0, 100),
    _rom("max_voltage_limit", 32, 2, 160, 95, 160),
    _rom("min_voltage_limit", 34, 2, 95, 95, 160),
    _rom("pwm_limit", 36, 2, 885, 0, 885),
    _rom("current_limit", 38, 2, 2047, 0, 2047),
    _rom("velocity_limit", 44, 4, 128, 0, 1023),
    _rom("max_position_limit", 48, 4, 4095, 0, 4095),
    _rom("min_position_limit", 52, 4, 0, 0, 4095),
    _rom("startup_configuration", 60, 1, 0, 0, 3),
    _rom("shutdown", 63, 1, 52, 0, 255),
    _ram("torque_enable", 64, 1, 0, 0, 1),
    _ram("led", 65, 1, 0, 0, 1),
    _ram("status_return_level", 68, 1, 2, 0, 2),
    _seen("registered_instruction", 69, 1),
    _seen("hardware_error_status", 70, 1),
    _ram("velocity_i_gain", 76, 2, 1920, 0, 16383),
    _ram("velocity_p_gain", 78, 2, 100, 0, 16383),
    _ram("position_d_gain", 80, 2, 0, 0, 16383),
    _ram("position_i_gain", 82, 2, 0, 0, 16383),
    _ram("position_p_gain", 84, 2, 800, 0, 16383),
    _ram("feedforward_2nd_gain", 88, 2, 0, 0, 16383),
    _ram("feedforward_1st_gain", 90, 2, 0, 0, 16383),
    Register("bus_watchdog", 98, 1, signed=True, low=0, high=127),
    _ram("goal_pwm", 100, 2, 885, -885, 885),
    _ram("goal_current", 102, 2, 2047, -2047, 2047),
    _ram("goal_velocity", 104, 4, 128, -1023, 1023),
    _ram("profile_acceleration", 108, 4, 0, 0, 32767),
    _ram("profile_velocity", 112, 4, 0, 0, 32767),
    Register("goal_position", 116, 4, signed=True, low=-_INT32, high=_INT32),
    _seen("realtime_tick", 120, 2),
    _seen("moving", 122, 1),
    _seen("moving_status", 123, 1),
    _seen("present_pwm", 124, 2, signed=True),
    _seen("present_current", 126, 2, signed=True),
    _seen("present_velocity", 128, 4, signed=True),
    _seen("present_position", 132, 4, signed=True),
    _seen("velocity_trajectory", 136, 4, signed=True),
    _seen("position_trajectory", 140, 4, signed=True),
    _seen("present_input_voltage", 144, 2, default=120),
    _seen("present_temperature", 146, 1, default=32),
)

_DIFFERENCES: Mapping[str, tuple[Register, ...]] = {
    "xm540-w270": (),
    "xm430-w350": (
        _rom("current_limit", 38, 2, 1193, 0, 1193),
        _rom("velocity_limit", 44, 4, 200, 0, 1023),
        _ram("goal_current", 102, 2, 1193, -1193, 1193),
        _ram("goal_velocity", 104, 4, 200, -1023, 1023),
    ),
    "xc430-w150": (
        _rom("moving_threshold", 24, 4, 20, 0, 1023),
        _rom("max_voltage_limit", 32, 2, 160, 60, 160),
        _rom("min_voltage_limit", 34, 2, 60, 60, 160),
        _rom("velocity_limit", 44, 4, 460, 0, 1023),
        _ram("position_p_gain", 84, 2, 460, 0, 16383),
        _ram("goal_velocity", 104, 4, 460, -1023, 1023),
        _seen("present_load", 126, 2, signed=True),
    ),
}
_ABSENT: Mapping[str, frozenset[str]] = {
    "xc430-w150": frozenset({"current_limit", "goal_current", "present_current"}),
}

OPERATING_MODES: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "xm540-w270": frozenset({0, 1, 3, 4, 5, 16}),
        "xm430-w350": frozenset({0, 1, 3, 4, 5, 16}),
        "xc430-w150": frozenset({1, 3, 4, 16}),
    }
)
"""0 current, 1 velocity, 3 position, 4 extended position, 5 current-based position, 16 PWM."""

HARDWARE_ERRORS: Mapping[int, str] = MappingProxyType(
    {
        0: "input voltage out of range",
        2: "overheating",
        3: "motor encoder does not work",
        4: "electrical shock or too little power",
        5: "overload",
    }
)
"""Bits of hardware_error_status (70), in words."""

STATUS_ERRORS: Mapping[int, str] = MappingProxyType(
    {
        1: "the instruction failed",
        2: "unknown instruction",
        3: "checksum error",
        4: "value out of range",
        5: "data too short for the register",
        6: "value beyond a limit register",
        7: "no such register, read-only, or EEPROM locked by torque",
    }
)
"""Error numbers of a status packet (Protocol 2.0), in words."""

ALERT = 0x80
"""Bit of a status packet's error byte: hardware_error_status is not zero."""


@cache
def table_for(model: str) -> Mapping[str, Register]:
    """The registers of a model by name; a ValueError lists the models that are known."""
    if model not in _DIFFERENCES:
        raise ValueError(f"no control table for '{model}'; known: {', '.join(_DIFFERENCES)}")
    rows = {register.name: register for register in _X_SERIES}
    rows |= {register.name: register for register in _DIFFERENCES[model]}
    rows["model_number"] = _seen("model_number", 0, 2, default=MODEL_NUMBERS[model])
    absent = _ABSENT.get(model, frozenset())
    kept = [register for name, register in rows.items() if name not in absent]
    return MappingProxyType(
        {register.name: register for register in sorted(kept, key=lambda row: row.address)}
    )


def register_of(model: str, name: str) -> Register:
    """The register `name` of a model; a ValueError lists what the model has."""
    table = table_for(model)
    if name not in table:
        raise ValueError(f"{model} has no register '{name}'; it has {', '.join(table)}")
    return table[name]


def describe_hardware_error(status: int) -> tuple[str, ...]:
    """The bits that are set in hardware_error_status, in words."""
    return tuple(
        HARDWARE_ERRORS.get(bit, f"unknown bit {bit}") for bit in range(8) if status & (1 << bit)
    )
