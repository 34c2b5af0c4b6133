"""What a bridge needs of an arm, whatever it is made of."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from aloha_stack.robot.description import Arm


@dataclass(frozen=True)
class BusState:
    """One reading of the seven addressed joints, in the order of JOINTS.

    `position` rad, `velocity` rad/s, `effort` N·m of the addressed servo (its shadow carries about
    as much again), each (7,); a servo that gave no good answer has NaN there and its ID in
    `missing`. `damaged` are those of them from which something came that could not be read: noise,
    a bad connector, two servos of one ID. `alert` holds the IDs that report a hardware error.
    `late` tells that answers came later than they were waited for: whoever is in `missing` may not
    be silent, but at the end of a slow line. `stamp_ns` is the ROS time of the measurement where
    somebody else made it; 0 means now.
    """

    position: np.ndarray
    velocity: np.ndarray
    effort: np.ndarray
    missing: tuple[int, ...] = ()
    alert: tuple[int, ...] = ()
    damaged: tuple[int, ...] = ()
    late: bool = False
    stamp_ns: int = 0

    @property
    def complete(self) -> bool:
        return not self.missing


@dataclass(frozen=True)
class ServoHealth:
    """What is known of one of the nine servos: None and NaN stand for what never was heard.

    `answered` tells of the very call of watch() that returned this, and so does `damaged`: bytes
    came that could not be read (noise, a bad connector, two servos of one ID). All else is the
    latest word.
    `answers` of `requests` count every reading in which the servo was asked, those of read() too.
    """

    answered: bool = False
    torque: bool | None = None
    hardware_error: tuple[str, ...] = ()
    watchdog_tripped: bool | None = None
    voltage_v: float = math.nan
    temperature_c: float = math.nan
    current_a: float = math.nan
    position_rad: float = math.nan
    answers: int = 0
    requests: int = 0
    damaged: bool = False


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
        """Every servo, shadows too, must answer to its own ID: ServoSilent, WrongModel.

        Nobody else may be on the bus, as far as can be told: NotAsDescribed.
        """

    def configure(self) -> tuple[str, ...]:
        """Brings every register to what the robot file says, verified; returns what it changed.

        EEPROM is written only where it differs, and never under torque (TorqueIsOn). The homing
        offset of a limp shadow becomes what makes it agree with its master. Nothing is written if
        a servo shadows another than the robot file says, or if the drive modes of the file would
        turn a shadow against its master: NotAsDescribed.
        """

    def torque(self) -> Mapping[int, bool]:
        """Whether each of the nine servos has torque, by ID."""

    def set_torque(self, on: bool) -> None:
        """Torque of all servos on or off at once, then verified.

        NotTaken names who did not obey, ServoSilent who did not answer; the others have obeyed.
        """

    def read(self) -> BusState:
        """One reading. A silent servo is reported in it, never made up and never raised."""

    @property
    def round_trip_s(self) -> float:
        """How long the last read() took, s of steady time; NaN before the first."""

    def watch(self) -> Mapping[int, ServoHealth]:
        """One slow look at all nine servos, beside the cycle's; what is known of each, by ID.

        Calls take turns: what one of them asks for (torque and errors; current, position, voltage
        and temperature; watchdog) is fresh after at most four. Nothing that is silent is raised.
        """

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        """Goals (7,) rad, to the addressed servos only; returns the goals (7,) rad as written.

        They differ from what was asked by the rounding to ticks, and where the servo's own position
        limits cut them off. A ValueError says which joint was not finite; nothing is written then.
        """

    def write_currents(self, current_a: np.ndarray) -> np.ndarray:
        """Goal currents (7,) A, to the addressed servos in current mode; returns them as written.

        They are cut off at each servo's current_limit; a servo that knows no current gets nothing,
        and 0 is returned for it. A ValueError says which joint was not finite.
        """

    def set_mode(self, mode: str) -> None:
        """ "position": operating modes as the robot file says; "current": 0 where servos have it.

        Verified. Raises TorqueIsOn if any servo has torque, and a ValueError for another word.
        """

    def set_watchdog(self, timeout_s: float) -> None:
        """The servos stop where they are after so long without a packet, verified.

        0 disarms; both clear a watchdog that has tripped. Errors as of set_torque: the others have
        obeyed.
        """

    def read_register(self, servo_id: int, name: str) -> int:
        """One register: ServoSilent, ServoRefused; a ValueError lists the names."""

    def write_register(self, servo_id: int, name: str, value: int) -> None:
        """One register, with the servo's answer: ServoSilent, ServoRefused."""

    def hardware_errors(self) -> Mapping[int, tuple[str, ...]]:
        """The servos in hardware error, by ID, and what it is in words.

        Of a servo that does not answer nothing is known, and so it is not among them; if none
        answers that is a ServoSilent or AnswerDamaged.
        """

    def reboot(self, servo_id: int) -> None:
        """Restarts a servo (clears its error; its torque is off then) and configures it again."""

    def recover(self, ids: Iterable[int]) -> None:
        """Brings back servos that restarted or are in hardware error, and leaves them limp.

        Reboots those in error, waits until all answer, and writes their RAM registers again,
        verified. A master holds on while its shadow is recovered, and so does a shadow whose master
        is limp but in no error: only where a master restarts, its shadow, which hears the same
        packet, restarts too. ServoSilent, NotTaken.
        """

    def latency_timer_ms(self) -> int | None:
        """How long the serial adapter waits before it hands over few bytes; None if it has none."""
