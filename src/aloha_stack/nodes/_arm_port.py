"""A port that was lost, and is looked for until it is there again."""

from aloha_stack.dynamixel.arm_bus import ArmBus
from aloha_stack.dynamixel.errors import BusError, PortMissing

LOOK_S = 1.0
"""Steady time between two attempts to open it."""


class LostPort:
    """What to tell of it; for who owns the bus, which must be closed."""

    def __init__(self, bus: ArmBus, error: BusError, steady_s: float) -> None:
        self._bus, self._why = bus, str(error)
        self._then = f"call /{bus.arm.name}/adopt"
        self._next_s = steady_s + LOOK_S
        self.words = f"{self._why}; then {self._then}"
        """What happened, and what the operator has to do now."""

    def look(self, steady_s: float) -> None:
        """Once a second: whether it can be opened. Nobody takes the arm over unasked."""
        if steady_s < self._next_s:
            return
        self._next_s = steady_s + LOOK_S
        try:
            self._bus.open()
        except PortMissing:
            self.words = f"{self._why}; then {self._then}"
        except BusError as error:
            self.words = f"{error}; then {self._then}"
        else:
            self._bus.close()
            self.words = (
                f"{self._why}. The port is there again: see that nothing leans on the arm, then "
                f"{self._then}"
            )
