"""What a bridge needs of an arm, whatever it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from aloha_stack.robot.description import Arm


@dataclass(frozen=True)
class BusState:
    """One reading of the seven addressed joints, in the order of JOINTS.

    `position` rad, `velocity` rad/s, `effort` N·m of the addressed servo (its shadow carries about
    as much again), each (7,); a servo that did not answer has NaN there and its ID in `missing`.
    `alert` holds the IDs that report a hardware error.
    """

    position: np.ndarray
    velocity: np.ndarray
    effort: np.ndarray
    missing: tuple[int, ...] = ()
    alert: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.missing


@runtime_checkable
class ArmBus(Protocol):
    """An arm on its bus. tests/dynamixel/bus_conformance.py proves that an implementation obeys.

    Every method but open() and close() raises PortClosed when the bus is not open, and PortLost
    when the port goes away.
    """

    @property
    def arm(self) -> Arm: ...

    def open(self) -> None:
        """Takes the port for this process alone: PortMissing, PortDenied, PortBusy."""

    def close(self) -> None:
        """Gives the port back; leaves the servos as they are. May be called twice."""

    def check(self) -> None:
        """Every servo, shadows too, must answer to its own ID: ServoSilent, WrongModel."""

    def configure(self) -> tuple[str, ...]:
        """Brings every register to what the robot file says, verified; returns what it changed.

        EEPROM is written only where it differs, and never under torque (TorqueIsOn). The homing
        offset of a limp shadow becomes what makes it agree with its master.
        """

    def torque(self) -> Mapping[int, bool]:
        """Whether each of the nine servos has torque, by ID."""

    def set_torque(self, on: bool) -> None:
        """Torque of all servos on or off at once, then verified.

        NotTaken names who did not obey, ServoSilent who did not answer; the others have obeyed.
        """

    def read(self) -> BusState:
        """One reading. A silent servo is reported in it, never made up and never raised."""

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        """Goals (7,) rad, to the addressed servos only; returns the goals (7,) rad as written.

        They differ from what was asked by the rounding to ticks, and where the servo's own position
        limits cut them off. A ValueError says which joint was not finite; nothing is written then.
        """

    def set_watchdog(self, timeout_s: float) -> None:
        """The servos stop where they are after so long without a packet, verified.

        0 disarms; both clear a watchdog that has tripped.
        """

    def read_register(self, servo_id: int, name: str) -> int:
        """One register: ServoSilent, ServoRefused; a ValueError lists the names."""

    def write_register(self, servo_id: int, name: str, value: int) -> None:
        """One register, with the servo's answer: ServoSilent, ServoRefused."""

    def hardware_errors(self) -> Mapping[int, tuple[str, ...]]:
        """The servos in hardware error, by ID, and what it is in words."""

    def reboot(self, servo_id: int) -> None:
        """Restarts a servo (clears its error; its torque is off then) and configures it again."""
