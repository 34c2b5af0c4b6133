"""What an arm's servos must hold in their registers: brought there, and verified."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from aloha_stack.dynamixel import words
from aloha_stack.dynamixel.control_table import OPERATING_MODES, register_of, table_for
from aloha_stack.dynamixel.errors import NotTaken, ServoError, TorqueIsOn
from aloha_stack.robot.description import Arm, Servo

CURRENT, CURRENT_BASED_POSITION = 0, 5
"""Operating modes."""

Change = tuple[Servo, str, int]


class Registers(Protocol):
    """The registers of single servos; ServoError if a servo does not answer, or refuses."""

    def servo(self, servo_id: int) -> Servo:
        """The servo with this ID; a ValueError lists those that exist."""
        ...

    def read(self, servo_id: int, name: str) -> int:
        """A register's value."""
        ...

    def write(self, servo_id: int, name: str, value: int) -> None:
        """Writes a register; returns once the servo has taken it."""
        ...

    def is_there(self, servo_id: int) -> bool:
        """Whether the servo answers, asked once."""
        ...

    def reboot(self, servo_id: int) -> None:
        """Restarts the servo, and does not wait for it."""
        ...


class CommonRegisters(Protocol):
    """A register of all nine servos; ServoError names who does not answer, or obey."""

    def read(self, name: str) -> Mapping[int, int]:
        """The register's value by ID."""
        ...

    def write(self, name: str, value: int) -> None:
        """The same value to all, verified."""
        ...


class Setup:
    """Writes the registers of the robot file, EEPROM only where it differs."""

    def __init__(self, arm: Arm, requests: Registers, together: CommonRegisters) -> None:
        self._arm, self._requests, self._together = arm, requests, together
        # What is written to a master reaches its shadow too, which therefore comes later.
        self._servos = sorted(arm.servos, key=lambda servo: servo.shadow_of is not None)

    def make_them_answer(self) -> None:
        """Told without an answer: a servo below level 2 gives none, and would look dead."""
        self._together.write("status_return_level", 2)

    def configure(self) -> tuple[str, ...]:
        """All registers of all servos; returns what was changed. TorqueIsOn, NotTaken."""
        locked = [c for servo in self._servos for c in self._differing(servo, eeprom=True)]
        if locked:
            what = ", ".join(f"{name} of servo {servo.id}" for servo, name, _ in locked)
            self._refuse_under_torque(f"{what} must be written to EEPROM")
        # EEPROM first: a new operating mode resets gains and profiles.
        self._write_verified(locked)
        changes = [*locked, *(c for servo in self._servos for c in self.write_ram(servo))]
        return tuple(
            f"{words.call(self._arm, servo.id)}: {name} = {value}" for servo, name, value in changes
        )

    def write_ram(self, servo: Servo) -> list[Change]:
        """What a servo forgets when it restarts or changes its operating mode."""
        changes = self._differing(servo, eeprom=False)
        self._write_verified(changes)
        return changes + self._restore_limits(servo)

    def set_mode(self, mode: str) -> None:
        """The arm's operating modes: ArmBus.set_mode."""
        if mode not in ("position", "current"):
            raise ValueError(f"{self._arm.name}: no mode '{mode}'; there is position, current")
        self._refuse_under_torque("operating modes are EEPROM")
        found = self._together.read("operating_mode")
        for servo in self._servos:
            wanted = servo.registers["operating_mode"]
            if mode == "current" and CURRENT in OPERATING_MODES[servo.model]:
                wanted = CURRENT
            if found[servo.id] != wanted:
                self._write_verified([(servo, "operating_mode", wanted)])
        for servo in self._servos:
            self.write_ram(servo)

    def _refuse_under_torque(self, why: str) -> None:
        """TorqueIsOn if any servo has torque: EEPROM is locked then, and the arm would drop."""
        powered = tuple(i for i, on in self._together.read("torque_enable").items() if on)
        if powered:
            raise TorqueIsOn(
                f"{words.where(self._arm)}: {why}, but {words.call(self._arm, *powered)} have "
                "torque and the arm would drop; park the arm, take its torque off, and try again",
                powered,
            )

    def _differing(self, servo: Servo, eeprom: bool) -> list[Change]:
        """The registers of the robot file that hold another value, of the EEPROM or of the RAM."""
        return [
            (servo, name, value)
            for name, value in servo.registers.items()
            if register_of(servo.model, name).eeprom == eeprom
            and not _is_measured(servo, name)
            and self._requests.read(servo.id, name) != value
        ]

    def _restore_limits(self, servo: Servo) -> list[Change]:
        """Goal PWM and goal current are the limits that count; who had the arm before may have
        left them lower or higher. In current mode the goal is a torque, and begins at nothing."""
        changes = [
            (servo, name, value)
            for name, value in self._limits(servo)
            if self._requests.read(servo.id, name) != value
        ]
        if changes and self._requests.read(servo.id, "bus_watchdog") < 0:  # it refuses all goals
            self._requests.write(servo.id, "bus_watchdog", 0)
        self._write_verified(changes)
        return changes

    def _limits(self, servo: Servo) -> Iterator[tuple[str, int]]:
        yield "goal_pwm", self._requests.read(servo.id, "pwm_limit")
        if "goal_current" in table_for(servo.model):
            mode = self._requests.read(servo.id, "operating_mode")
            if mode == CURRENT:
                yield "goal_current", 0
            elif mode == CURRENT_BASED_POSITION:
                yield "goal_current", self._requests.read(servo.id, "current_limit")

    def _write_verified(self, changes: Iterable[Change]) -> None:
        for servo, name, value in changes:
            self._requests.write(servo.id, name, value)
            found = self._requests.read(servo.id, name)
            if found != value:
                raise NotTaken(
                    f"{words.where(self._arm)}: {words.call(self._arm, servo.id)} was told "
                    f"{name} = {value} and reads {found}; check the servo's firmware and "
                    f"config/arms/{self._arm.model}.yaml",
                    (servo.id,),
                )


def set_watchdogs(together: CommonRegisters, steps: int) -> None:
    """Clears the Bus Watchdogs of all servos, then arms them if `steps` are not 0.

    A servo that fails does not leave the others unwatched: the first error is raised at the end.
    """
    first_error: ServoError | None = None
    for value in (0, steps) if steps else (0,):
        try:
            together.write("bus_watchdog", value)
        except ServoError as error:
            first_error = first_error or error
    if first_error:
        raise first_error


def _is_measured(servo: Servo, name: str) -> bool:
    """A shadow's homing offset is what makes it agree with its master, whatever the file says."""
    return servo.shadow_of is not None and name == "homing_offset"
