"""An arm's nine Dynamixel servos on one serial bus."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from aloha_stack.dynamixel import units, words
from aloha_stack.dynamixel.arm_bus import ArmBus, BusState, ServoHealth
from aloha_stack.dynamixel.control_table import describe_hardware_error
from aloha_stack.dynamixel.cyclic import STATE, SyncReader, current_writer, goal_writer
from aloha_stack.dynamixel.errors import AnswerDamaged, NotAsDescribed, ServoSilent, WrongModel
from aloha_stack.dynamixel.goals import Goals
from aloha_stack.dynamixel.latency import latency_timer_ms
from aloha_stack.dynamixel.measure import Measure, angles
from aloha_stack.dynamixel.patience import Patience
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.dynamixel.register_check import check_registers
from aloha_stack.dynamixel.requests import Requests
from aloha_stack.dynamixel.restart import Restart
from aloha_stack.dynamixel.scanning import call_all
from aloha_stack.dynamixel.setup import Setup, set_watchdogs
from aloha_stack.dynamixel.shadows import Shadows
from aloha_stack.dynamixel.together import Together
from aloha_stack.dynamixel.watching import Watch
from aloha_stack.robot.description import Arm

__all__ = ["ArmBus", "BusState", "DynamixelBus", "ServoHealth"]


class DynamixelBus:
    """`ArmBus` over a serial port: dynamixel_sdk for single registers, one packet each per cycle.

    Shadow servos carry their own IDs (3, 5) and obey what is written to their masters (2, 4)
    through their Secondary ID. They are checked, configured and watched by their own IDs; no goal
    is ever addressed to them, and read() does not ask them. A RobotConfigError tells at once what
    the robot file asks of a servo that cannot be.
    """

    def __init__(self, arm: Arm) -> None:
        check_registers(arm)
        self._arm = arm
        addressed = arm.addressed
        self._ids = tuple(servo.id for servo in addressed)
        self._port = PollingPort(arm.port, arm.baud, arm.name)
        self._patience = Patience()
        self._requests = Requests(arm, self._port, self._patience)
        self._together = Together(arm, self._port, self._patience)
        self._setup = Setup(arm, self._requests, self._together)
        pairs = {i for s in arm.servos if s.shadow_of is not None for i in (s.shadow_of, s.id)}
        self._shadows = Shadows(
            arm, self._requests, self._together, self._state_reader(sorted(pairs))
        )
        self._watch = Watch(self._port, arm.servos, self._patience)
        self._reader = self._state_reader(self._ids)
        self._round_trip_s = math.nan
        self._measure = Measure(arm)
        self._goal_writer = goal_writer(self._port, self._ids)
        self._goals = Goals(arm, self._requests.read)
        self._current_writer = current_writer(
            self._port, [self._ids[k] for k in self._goals.with_current]
        )
        self._restart = Restart(arm, self._requests, self._setup, self._watch.forget, self.read)

    @property
    def arm(self) -> Arm:
        return self._arm

    def open(self) -> None:
        self._port.openPort()
        self._patience.reset(self.latency_timer_ms() or 0)
        self._watch.forget()
        self._goals.forget()

    def close(self) -> None:
        self._port.closePort()

    # -- every cycle ------------------------------------------------------------------------

    @property
    def round_trip_s(self) -> float:
        return self._round_trip_s

    def read(self) -> BusState:
        began_s = time.monotonic()
        answers = self._reader.read()
        self._round_trip_s = time.monotonic() - began_s
        return self._measure(answers, self._reader.damaged, self._patience.late)

    def watch(self) -> Mapping[int, ServoHealth]:
        known = self._watch.look()
        readers = (self._reader, *self._watch.readers)
        healths = {}
        for servo_id, health in known.items():
            asking = [reader for reader in readers if servo_id in reader.missed]
            requests = sum(reader.reads for reader in asking)
            missed = sum(reader.missed[servo_id] for reader in asking)
            healths[servo_id] = replace(health, answers=requests - missed, requests=requests)
        return healths

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        ticks = self._goals.ticks(position)
        self._goal_writer.write(ticks)
        return angles(ticks)

    def write_currents(self, current_a: np.ndarray) -> np.ndarray:
        raw = self._goals.currents(current_a)
        self._current_writer.write([raw[k] for k in self._goals.with_current])
        return np.array(raw) * units.AMPERE_PER_CURRENT_UNIT

    # -- all servos -------------------------------------------------------------------------

    def check(self) -> None:
        wrong: dict[int, int] = {}
        silent, damaged = [], []
        for servo in self._arm.servos:
            try:
                number = self._requests.ping(servo.id)
            except AnswerDamaged:
                damaged.append(servo.id)
            except ServoSilent:
                silent.append(servo.id)
            else:
                if number != servo.model_number:
                    wrong[servo.id] = number
        if damaged:
            raise AnswerDamaged(words.damaged(self._arm, damaged), tuple(damaged))
        if silent:
            raise ServoSilent(words.silent(self._arm, silent), tuple(silent))
        if wrong:
            raise WrongModel(
                f"{words.where(self._arm)}: {words.other_models(self._arm, wrong)}; check that the "
                f"port is this arm's, and the servos in config/arms/{self._arm.model}.yaml",
                tuple(wrong),
            )
        # Two servos of one ID and model answer a ping with the same bytes, but this with others.
        self._together.read("present_position")
        strangers = call_all(self._port, self._patience.slack_s) - {s.id for s in self._arm.servos}
        if strangers:
            raise NotAsDescribed(
                f"{words.where(self._arm)}: servos answer of which the robot file knows nothing, "
                f"ID {', '.join(map(str, sorted(strangers)))}; add them to "
                f"config/arms/{self._arm.model}.yaml, with `shadow_of` if they share a joint, or "
                "take them off this bus",
                tuple(sorted(strangers)),
            )

    def configure(self) -> tuple[str, ...]:
        self._goals.forget()
        self._setup.make_them_answer()
        self._shadows.check()
        return (*self._setup.configure(), *self._shadows.align(self.torque()))

    def set_mode(self, mode: str) -> None:
        self._setup.set_mode(mode)

    def torque(self) -> Mapping[int, bool]:
        return {i: bool(value) for i, value in self._together.read("torque_enable").items()}

    def set_torque(self, on: bool) -> None:
        self._watch.forget()
        self._together.write("torque_enable", int(on))

    def set_watchdog(self, timeout_s: float) -> None:
        steps = units.watchdog_steps(timeout_s)
        self._watch.forget()
        set_watchdogs(self._together, steps)

    def hardware_errors(self) -> Mapping[int, tuple[str, ...]]:
        status = self._together.known("hardware_error_status")
        return {i: describe_hardware_error(value) for i, value in status.items() if value}

    def latency_timer_ms(self) -> int | None:
        return latency_timer_ms(self._arm.port)

    # -- one servo, or a few ----------------------------------------------------------------

    def read_register(self, servo_id: int, name: str) -> int:
        return self._requests.read(servo_id, name)

    def write_register(self, servo_id: int, name: str, value: int) -> None:
        self._requests.write(servo_id, name, value)

    def reboot(self, servo_id: int) -> None:
        self._restart.reboot(servo_id)

    def recover(self, ids: Iterable[int]) -> None:
        self._restart.recover(ids)

    # -- parts ------------------------------------------------------------------------------

    def _state_reader(self, ids: Iterable[int]) -> SyncReader:
        return SyncReader(self._port, tuple(ids), STATE, self._patience)
