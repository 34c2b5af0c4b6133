"""What can go wrong on an arm's bus. Every message names the arm, the port, and what to check."""


class BusError(RuntimeError):
    """Something on an arm's bus failed."""


class PortMissing(BusError):
    """The serial port does not exist."""


class PortDenied(BusError):
    """This user may not open the serial port."""


class PortBusy(BusError):
    """Another process holds the serial port."""


class PortLost(BusError):
    """The serial port went away while it was in use (unplugged, or the adapter failed)."""


class PortClosed(BusError):
    """The bus was used before open() or after close()."""


class ServoError(BusError):
    """One or more servos did not do what was asked; `ids` says which."""

    def __init__(self, message: str, ids: tuple[int, ...]) -> None:
        super().__init__(message)
        self.ids = ids


class ServoSilent(ServoError):
    """A servo does not answer."""


class AnswerDamaged(ServoSilent):
    """A servo answers, but each time with bytes that cannot be read."""


class WrongModel(ServoError):
    """A servo answers, but is another model than the robot file says."""


class NotAsDescribed(ServoError):
    """The servos are others than the robot file says, or sit in the arm in another way."""


class ServoRefused(ServoError):
    """A servo answered with an error; `code` is the status packet's error number."""

    def __init__(self, message: str, ids: tuple[int, ...], code: int) -> None:
        super().__init__(message, ids)
        self.code = code


class NotTaken(ServoError):
    """A register reads back another value than was written."""


class TorqueIsOn(ServoError):
    """EEPROM would have to be written, but the torque is on and the arm would drop."""
