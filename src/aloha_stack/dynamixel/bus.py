"""An arm's nine Dynamixel servos on one serial bus."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from aloha_stack.dynamixel import units, words
from aloha_stack.dynamixel.arm_bus import ArmBus, BusState, ServoHealth
from aloha_stack.dynamixel.control_table import ALERT, describe_hardware_error, table_for
from aloha_stack.dynamixel.cyclic import STATE, SyncReader, current_writer, goal_writer
from aloha_stack.dynamixel.errors import AnswerDamaged, ServoSilent, WrongModel
from aloha_stack.dynamixel.latency import latency_timer_ms
from aloha_stack.dynamixel.patience import Patience
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.dynamixel.register_check import check_registers
from aloha_stack.dynamixel.requests import Requests
from aloha_stack.dynamixel.setup import Setup
from aloha_stack.dynamixel.shadows import Shadows
from aloha_stack.dynamixel.together import Together
from aloha_stack.dynamixel.watching import Watch
from aloha_stack.robot.description import Arm, Servo
from aloha_stack.robot.joints import JOINTS

__all__ = ["ArmBus", "BusState", "DynamixelBus", "ServoHealth"]

REBOOT_LIMIT_S = 5.0


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
        self._shadows = Shadows(arm, self._requests, self._state_reader(sorted(pairs)))
        self._watch = Watch(self._port, arm.servos, self._patience)
        self._reader = self._state_reader(self._ids)
        self._round_trip_s = math.nan
        self._nm_per_unit = np.array([units.NM_PER_UNIT[servo.model] for servo in addressed])
        self._goal_writer = goal_writer(self._port, self._ids)
        limits = [_goal_limits(servo) for servo in addressed]
        self._lowest, self._highest = np.array(limits, dtype=np.int64).T
        has_current = ["goal_current" in table_for(servo.model) for servo in addressed]
        self._with_current = np.flatnonzero(has_current)
        self._current_writer = current_writer(
            self._port, [self._ids[k] for k in self._with_current]
        )
        self._current_limits: np.ndarray | None = None

    @property
    def arm(self) -> Arm:
        return self._arm

    def open(self) -> None:
        self._port.openPort()
        self._patience.reset(self.latency_timer_ms() or 0)
        self._watch.forget()
        self._current_limits = None

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
        if len(answers) == len(self._ids):
            raw = np.array([answers[i] for i in self._ids], dtype=np.float64)
            missing: tuple[int, ...] = ()
        else:
            unknown = (0, np.nan, np.nan, np.nan)
            raw = np.array([answers.get(i, unknown) for i in self._ids], dtype=np.float64)
            missing = tuple(i for i in self._ids if i not in answers)
        return BusState(
            position=units.ticks_to_rad(raw[:, 3]),
            velocity=raw[:, 2] * units.RAD_S_PER_VELOCITY_UNIT,
            effort=raw[:, 1] * self._nm_per_unit,
            missing=missing,
            alert=tuple(i for i, answer in answers.items() if answer[0] & ALERT),
            damaged=self._reader.damaged,
        )

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
        wanted = self._seven(position, "goal")
        ticks = np.clip(units.rad_to_ticks(wanted), self._lowest, self._highest)
        self._goal_writer.write(ticks.tolist())
        return units.ticks_to_rad(ticks)

    def write_currents(self, current_a: np.ndarray) -> np.ndarray:
        wanted = self._seven(current_a, "current")[self._with_current]
        if self._current_limits is None:
            limits = [self.read_register(i, "current_limit") for i in self._current_writer.ids]
            self._current_limits = np.array(limits)
        raw = np.rint(wanted / units.AMPERE_PER_CURRENT_UNIT)
        raw = np.clip(raw, -self._current_limits, self._current_limits).astype(np.int64)
        self._current_writer.write(raw.tolist())
        written = np.zeros(len(JOINTS))
        written[self._with_current] = raw * units.AMPERE_PER_CURRENT_UNIT
        return written

    # -- all servos -------------------------------------------------------------------------

    def check(self) -> None:
        wrong, silent, damaged = [], [], []
        for servo in self._arm.servos:
            try:
                number = self._requests.ping(servo.id)
            except AnswerDamaged:
                damaged.append(servo.id)
            except ServoSilent:
                silent.append(servo.id)
            else:
                if number != servo.model_number:
                    wrong.append((servo, number))
        if damaged:
            raise AnswerDamaged(words.damaged(self._arm, damaged), tuple(damaged))
        if silent:
            raise ServoSilent(words.silent(self._arm, silent), tuple(silent))
        if wrong:
            what = "; ".join(
                f"{words.call(self._arm, servo.id)} is model {number}, not {servo.model_number}: "
                f"{servo.model}"
                for servo, number in wrong
            )
            raise WrongModel(
                f"{words.where(self._arm)}: {what}; check that the port is this arm's, and the "
                f"servos in config/arms/{self._arm.model}.yaml",
                tuple(servo.id for servo, _ in wrong),
            )
        # Two servos of one ID and model answer a ping with the same bytes, but this with others.
        self._together.read("present_position")

    def configure(self) -> tuple[str, ...]:
        self._current_limits = None
        return (*self._setup.configure(), *self._shadows.align(self.torque()))

    def set_mode(self, mode: str) -> None:
        self._setup.set_mode(mode)

    def torque(self) -> Mapping[int, bool]:
        return {i: bool(value) for i, value in self._together.read("torque_enable").items()}

    def set_torque(self, on: bool) -> None:
        self._watch.forget()
        self._together.write("torque_enable", int(on))

    def set_watchdog(self, timeout_s: float) -> None:
        steps = round(timeout_s / units.WATCHDOG_UNIT_S)
        if not 0 <= steps <= 127 or (timeout_s > 0 and steps == 0):
            raise ValueError(f"{timeout_s} s is no watchdog time: 0, or 0.02 … 2.54 s")
        self._watch.forget()
        self._together.write("bus_watchdog", 0)
        if steps:
            self._together.write("bus_watchdog", steps)

    def hardware_errors(self) -> Mapping[int, tuple[str, ...]]:
        status = self._together.read("hardware_error_status")
        return {i: describe_hardware_error(value) for i, value in status.items() if value}

    def latency_timer_ms(self) -> int | None:
        return latency_timer_ms(self._arm.port)

    # -- one servo, or a few ----------------------------------------------------------------

    def read_register(self, servo_id: int, name: str) -> int:
        return self._requests.read(servo_id, name)

    def write_register(self, servo_id: int, name: str, value: int) -> None:
        self._requests.write(servo_id, name, value)

    def reboot(self, servo_id: int) -> None:
        servo = self._requests.servo(servo_id)
        shadows = [s for s in self._arm.servos if s.shadow_of == servo_id]
        self._restart([servo, *shadows])
        self._remind([servo, *shadows])

    def recover(self, ids: Iterable[int]) -> None:
        masters = {self._requests.servo(i).shadow_of or i for i in ids}
        pairs = [s for s in self._arm.servos if s.id in masters or s.shadow_of in masters]
        self._await(pairs)
        for servo in pairs:
            self._requests.write(servo.id, "torque_enable", 0)
        self._restart([s for s in pairs if self._requests.read(s.id, "hardware_error_status")])
        self._remind(pairs)

    def _restart(self, servos: Iterable[Servo]) -> None:
        servos = tuple(servos)
        for servo in servos:
            self._requests.reboot(servo.id)
        self._await(servos)

    def _remind(self, servos: Iterable[Servo]) -> None:
        """What these servos forgot when they restarted."""
        self._watch.forget()
        for servo in servos:
            self._setup.write_ram(servo)

    def _await(self, servos: Iterable[Servo]) -> None:
        """Until all of these answer. Meanwhile the others hear packets: no watchdog trips."""
        deadline = time.monotonic() + REBOOT_LIMIT_S
        waiting = {servo.id for servo in servos}
        while waiting := {i for i in waiting if not self._requests.is_there(i)}:
            if time.monotonic() > deadline:
                silent = tuple(sorted(waiting))
                raise ServoSilent(words.silent(self._arm, silent), silent)
            self.read()

    # -- parts ------------------------------------------------------------------------------

    def _state_reader(self, ids: Iterable[int]) -> SyncReader:
        return SyncReader(self._port, tuple(ids), STATE, self._patience)

    def _seven(self, values: np.ndarray, what: str) -> np.ndarray:
        """`values` as floats (7,); a ValueError says which joint's is not finite."""
        seven = np.asarray(values, dtype=np.float64)
        if seven.shape != (len(JOINTS),):
            raise ValueError(f"{self._arm.name}: {what}s have shape {seven.shape}, expected (7,)")
        if not np.isfinite(seven).all():
            bad = [
                joint
                for joint, value in zip(JOINTS, seven, strict=True)
                if not math.isfinite(value)
            ]
            raise ValueError(f"{self._arm.name}: the {what} of {', '.join(bad)} is not a number")
        return seven


def _goal_limits(servo: Servo) -> tuple[int, int]:
    """The goals that a servo takes, ticks: in a sync write it refuses others without a word."""
    if servo.registers["operating_mode"] != 3:
        return -1_048_575, 1_048_575
    registers = servo.registers
    return registers.get("min_position_limit", 0), registers.get("max_position_limit", 4095)
