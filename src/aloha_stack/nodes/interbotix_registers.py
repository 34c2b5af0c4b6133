"""The servos' registers, read and written through Interbotix' driver.

xs_sdk never says whether a write succeeded, and of a read only that it did not: whatever is
written here is read back. The classes stand where aloha_stack.dynamixel has Requests and Together,
so that set-up is one and the same code for both backends.
"""

from collections.abc import Iterable

from aloha_stack.dynamixel import words
from aloha_stack.dynamixel.control_table import register_of, table_for
from aloha_stack.dynamixel.errors import NotTaken, ServoRefused, ServoSilent
from aloha_stack.nodes.interbotix_driver import XsDriver
from aloha_stack.nodes.interbotix_values import (
    UNKNOWN_REGISTERS,
    motor_name,
    register_name,
    register_value,
)
from aloha_stack.nodes.interbotix_watch import Looks
from aloha_stack.robot.description import Arm, Servo

TRIES = 3
"""How often something is asked before a servo counts as silent: the driver itself asks once."""
POSITION = "present_position"
NO_ACCESS = 7
"""Error number of a status packet: no such register."""


class XsRequests:
    """Registers of single servos: ServoSilent, ServoRefused, and the errors of the driver.

    A ValueError lists the servos or registers that exist.
    """

    def __init__(self, arm: Arm, driver: XsDriver, looks: Looks) -> None:
        self._arm, self._driver, self._looks = arm, driver, looks
        self._servos = {servo.id: servo for servo in arm.servos}

    def servo(self, servo_id: int) -> Servo:
        """The servo with this ID."""
        if servo_id not in self._servos:
            raise ValueError(
                f"{self._arm.name} has no servo {servo_id}; it has "
                f"{', '.join(map(str, self._servos))}"
            )
        return self._servos[servo_id]

    def read(self, servo_id: int, name: str) -> int:
        """The value of a register."""
        servo = self.servo(servo_id)
        for _ in range(TRIES):
            if (value := self._once(servo, name)) is not None:
                return value
        raise ServoSilent(words.silent(self._arm, [servo_id]), (servo_id,))

    def write(self, servo_id: int, name: str, value: int) -> None:
        """Writes a register, and reads it back."""
        servo = self.servo(servo_id)
        register_of(servo.model, name).encode(value)  # what does not fit is refused by name
        for _ in range(TRIES):
            self._looks.doubt()
            self._driver.set_registers("single", motor_name(servo), register_name(name), value)
            if (found := self.read(servo_id, name)) == value:
                return
        raise ServoRefused(
            f"{self._driver.where}: {words.call(self._arm, servo_id)} was told {name} = {value} "
            f"and reads {found}: refused, for a reason that xs_sdk keeps to itself; see its log",
            (servo_id,),
            0,
        )

    def is_there(self, servo_id: int) -> bool:
        """Whether it answers to a single reading."""
        return self._once(self.servo(servo_id), "model_number") is not None

    def reboot(self, servo_id: int) -> None:
        """Restarts the servo."""
        self._looks.doubt()
        self._driver.reboot(motor_name(self.servo(servo_id)))

    def _once(self, servo: Servo, name: str) -> int | None:
        register = register_of(servo.model, name)
        if name in UNKNOWN_REGISTERS:
            raise ServoRefused(
                f"{self._driver.where}: xs_sdk cannot read {name}, it has no name for it",
                (servo.id,),
                NO_ACCESS,
            )
        values = self._driver.get_registers("single", motor_name(servo), register_name(name))
        self._looks.heard((servo,), bool(values))
        if not values:
            return None
        self._looks.learn(servo, name, values[0])
        return register_value(register, values[0])


class XsTogether:
    """One register of all nine servos."""

    def __init__(self, arm: Arm, driver: XsDriver, looks: Looks, requests: XsRequests) -> None:
        self._arm, self._driver, self._looks, self._requests = arm, driver, looks, requests
        self._shadows = tuple(servo for servo in arm.servos if servo.shadow_of is not None)

    def read(self, name: str) -> dict[int, int]:
        """The register's value by ID; ServoSilent names who gave none."""
        values, silent = self._values(name)
        if silent:
            raise ServoSilent(words.silent(self._arm, silent), silent)
        return values

    def known(self, name: str) -> dict[int, int]:
        """As read(), of those that answer; an error only if nobody does."""
        values, silent = self._values(name)
        if not values:
            raise ServoSilent(words.silent(self._arm, silent), silent)
        return values

    def write(self, name: str, value: int) -> None:
        """The same value to all, master and shadow at the same instant; read back.

        The driver goes from servo to servo, some milliseconds in all. NotTaken names who did not
        obey, ServoSilent who did not answer; the others have obeyed.
        """
        for _ in range(TRIES):
            self._looks.doubt()
            self._set("group", "all", name, value)
            for shadow in self._shadows:
                self._set("single", motor_name(shadow), name, value)
            values, silent = self._values(name)
            deaf = tuple(i for i, found in values.items() if found != value)
            if not deaf:
                break
        if deaf:
            raise NotTaken(
                f"{self._driver.where}: {words.call(self._arm, *deaf)} did not take "
                f"{name} = {value}; check for a hardware error, and reboot the servo if it has one",
                deaf,
            )
        if silent:
            raise ServoSilent(words.silent(self._arm, silent), silent)

    def positions(self, servos: Iterable[Servo]) -> dict[int, int]:
        """Present positions, ticks, of those of these servos that answer."""
        found = {}
        for servo in servos:
            try:
                found[servo.id] = self._requests.read(servo.id, POSITION)
            except ServoSilent:
                continue
        return found

    def _set(self, cmd_type: str, motor: str, name: str, value: int) -> None:
        if name == "torque_enable":
            self._driver.enable_torque(cmd_type, motor, bool(value))
        else:
            self._driver.set_registers(cmd_type, motor, register_name(name), value)

    def _values(self, name: str) -> tuple[dict[int, int], tuple[int, ...]]:
        """What was read, by ID, and who was silent. Where the group fails each is asked alone."""
        addressed = self._arm.addressed
        raw = (
            self._driver.get_registers("group", "all", register_name(name))
            if all(name in table_for(servo.model) for servo in addressed)
            else ()
        )
        values: dict[int, int] = {}
        for servo, value in zip(addressed, raw, strict=False):
            self._looks.heard((servo,), True)
            self._looks.learn(servo, name, value)
            values[servo.id] = register_value(register_of(servo.model, name), value)
        silent = []
        for servo in self._arm.servos:
            if servo.id not in values:
                try:
                    values[servo.id] = self._requests.read(servo.id, name)
                except ServoSilent:
                    silent.append(servo.id)
        return {s.id: values[s.id] for s in self._arm.servos if s.id in values}, tuple(silent)


class XsPairs:
    """Reads the positions of masters and shadows, one after the other, as Shadows wants them."""

    def __init__(self, arm: Arm, together: XsTogether) -> None:
        masters = {servo.shadow_of for servo in arm.servos if servo.shadow_of is not None}
        self._servos = [s for s in arm.servos if s.id in masters or s.shadow_of is not None]
        self._together = together

    def read(self) -> dict[int, tuple[int, int, int, int]]:
        """By ID; the position is the last of four numbers."""
        positions = self._together.positions(self._servos)
        return {i: (0, 0, 0, position) for i, position in positions.items()}
