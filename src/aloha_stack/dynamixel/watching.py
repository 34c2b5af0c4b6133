"""A slow look at all nine servos, shadows too: their health, a window of registers at a time."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import cycle

from aloha_stack.dynamixel import units
from aloha_stack.dynamixel.answers import Answer, Window
from aloha_stack.dynamixel.arm_bus import ServoHealth
from aloha_stack.dynamixel.control_table import ALERT, describe_hardware_error, table_for
from aloha_stack.dynamixel.cyclic import SyncReader
from aloha_stack.dynamixel.patience import Patience
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.robot.description import Servo

SAFETY = Window(64, "B5xB")
"""torque_enable (64) … hardware_error_status (70)."""
PRESENT = Window(126, "hii8xHB")
"""present_current (126), velocity, position … present_input_voltage (144), temperature (146)."""
WATCHDOG = Window(98, "b")
"""bus_watchdog (98): -1 once it has tripped."""


class Watch:
    """Asks for one window a call, in the order A B A C, and keeps what is known of each servo."""

    def __init__(self, port: PollingPort, servos: tuple[Servo, ...], patience: Patience) -> None:
        self._servos = servos
        ids = tuple(servo.id for servo in servos)
        safety, present, watchdog = (
            SyncReader(port, ids, window, patience) for window in (SAFETY, PRESENT, WATCHDOG)
        )
        self.readers = (safety, present, watchdog)
        self._learn = {safety: _safety, present: _present, watchdog: _watchdog}
        self._turns = (safety, present, safety, watchdog)
        self._known = {servo.id: ServoHealth() for servo in servos}
        self._turn = cycle(self._turns)

    def forget(self) -> None:
        """Torque, watchdogs and errors were changed: what was heard of them before is outdated."""
        self._turn = cycle(self._turns)
        for servo_id, health in self._known.items():
            self._known[servo_id] = replace(
                health,
                answered=False,
                damaged=False,
                torque=None,
                watchdog_tripped=None,
                hardware_error=(),
            )

    def look(self) -> Mapping[int, ServoHealth]:
        """One request to all; what is known of every servo now. Raises PortLost."""
        reader = next(self._turn)
        answers = reader.read()
        learn = self._learn[reader]
        for servo in self._servos:
            health, answer = self._known[servo.id], answers.get(servo.id)
            if answer is None:
                damaged = servo.id in reader.damaged
                self._known[servo.id] = replace(health, answered=False, damaged=damaged)
                continue
            if not answer[0] & ALERT:
                health = replace(health, hardware_error=())
            self._known[servo.id] = learn(
                replace(health, answered=True, damaged=False), answer, servo
            )
        return self._known


def _safety(health: ServoHealth, answer: Answer, _servo: Servo) -> ServoHealth:
    _, torque, error = answer
    return replace(health, torque=bool(torque), hardware_error=describe_hardware_error(error))


def _present(health: ServoHealth, answer: Answer, servo: Servo) -> ServoHealth:
    _, current, _, position, voltage, temperature = answer
    if "present_current" in table_for(servo.model):
        health = replace(health, current_a=current * units.AMPERE_PER_CURRENT_UNIT)
    return replace(
        health,
        position_rad=(position - units.ZERO_TICKS) * units.RAD_PER_TICK,
        voltage_v=voltage * units.VOLT_PER_UNIT,
        temperature_c=float(temperature),
    )


def _watchdog(health: ServoHealth, answer: Answer, _servo: Servo) -> ServoHealth:
    return replace(health, watchdog_tripped=answer[1] < 0)
