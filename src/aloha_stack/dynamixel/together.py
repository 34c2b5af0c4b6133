"""One register of all nine servos at once, shadows too: read and written with one packet each."""

from collections.abc import Mapping

from aloha_stack.dynamixel import words
from aloha_stack.dynamixel.answers import Window
from aloha_stack.dynamixel.control_table import Register, register_of
from aloha_stack.dynamixel.cyclic import SyncReader, SyncWriter
from aloha_stack.dynamixel.errors import AnswerDamaged, NotTaken, ServoSilent
from aloha_stack.dynamixel.patience import Patience
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.dynamixel.requests import TRIES
from aloha_stack.robot.description import Arm

_LAYOUTS = {1: "b", 2: "h", 4: "i"}


class Together:
    """Registers that every model of the arm has at the same place."""

    def __init__(self, arm: Arm, port: PollingPort, patience: Patience) -> None:
        self._arm, self._port, self._patience = arm, port, patience
        self._ids = tuple(servo.id for servo in arm.servos)

    def read(self, name: str) -> dict[int, int]:
        """The register's value by ID: AnswerDamaged, ServoSilent name who gave none."""
        values, damaged = self._values(name)
        self._complain_of_missing(values, damaged)
        return {i: values[i] for i in self._ids}

    def known(self, name: str) -> dict[int, int]:
        """As read(), of those that answer; an error only if nobody does."""
        values, damaged = self._values(name)
        if not values:
            self._complain_of_missing(values, damaged)
        return values

    def write(self, name: str, value: int) -> None:
        """The same value to all, so that master and shadow act at the same instant; verified.

        NotTaken names who did not obey, ServoSilent who did not answer; the others have obeyed.
        """
        register = self._register(name)
        writer = SyncWriter(self._port, self._ids, register.address, _layout(register))
        for _ in range(TRIES):  # a sync write has no answer, and noise may have eaten it
            self._port.clearPort()
            writer.write([value] * len(self._ids))
            values, damaged = self._values(name)
            deaf = tuple(i for i, found in values.items() if found != value)
            if not deaf:
                break
        if deaf:
            raise NotTaken(
                f"{words.where(self._arm)}: {words.call(self._arm, *deaf)} did not take "
                f"{name} = {value}; check for a hardware error, and reboot the servo if it has one",
                deaf,
            )
        self._complain_of_missing(values, damaged)

    def _values(self, name: str) -> tuple[dict[int, int], tuple[int, ...]]:
        """What is read in a few tries, and who gave nothing but damaged answers."""
        register = self._register(name)
        window = Window(register.address, _layout(register))
        reader = SyncReader(self._port, self._ids, window, self._patience)
        values: dict[int, int] = {}
        damaged: set[int] = set()
        for _ in range(TRIES):
            values |= {i: answer[1] for i, answer in reader.read().items()}
            damaged |= set(reader.damaged)
            if len(values) == len(self._ids):
                break
        return values, tuple(i for i in self._ids if i in damaged and i not in values)

    def _complain_of_missing(self, values: Mapping[int, int], damaged: tuple[int, ...]) -> None:
        if damaged:
            raise AnswerDamaged(words.damaged(self._arm, damaged), damaged)
        missing = tuple(i for i in self._ids if i not in values)
        if missing:
            raise ServoSilent(words.silent(self._arm, missing), missing)

    def _register(self, name: str) -> Register:
        return register_of(self._arm.servos[0].model, name)


def _layout(register: Register) -> str:
    layout = _LAYOUTS[register.size]
    return layout if register.signed else layout.upper()
