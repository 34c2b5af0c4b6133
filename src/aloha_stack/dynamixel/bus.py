"""An arm's nine Dynamixel servos on one serial bus."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from dynamixel_sdk import COMM_SUCCESS, Protocol2PacketHandler

from aloha_stack.dynamixel import units
from aloha_stack.dynamixel.arm_bus import ArmBus, BusState, ServoHealth
from aloha_stack.dynamixel.control_table import (
    ALERT,
    OPERATING_MODES,
    STATUS_ERRORS,
    describe_hardware_error,
    register_of,
    table_for,
)
from aloha_stack.dynamixel.cyclic import SyncReader, current_writer, goal_writer
from aloha_stack.dynamixel.errors import NotTaken, ServoRefused, ServoSilent, TorqueIsOn, WrongModel
from aloha_stack.dynamixel.latency import latency_timer_ms
from aloha_stack.dynamixel.packets import BROADCAST, SYNC_WRITE, instruction
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.dynamixel.shadows import align_shadows
from aloha_stack.dynamixel.watching import Watch
from aloha_stack.robot.description import Arm, Servo
from aloha_stack.robot.joints import JOINTS

__all__ = ["ArmBus", "BusState", "DynamixelBus"]

TRIES = 3
"""How often a single read or write is tried before its servo counts as silent."""
REBOOT_LIMIT_S = 5.0
NEVER_WRITTEN = frozenset({"id", "baud_rate"})
"""Registers that would cut off the line on which they are written."""


class DynamixelBus:
    """`ArmBus` over a serial port: dynamixel_sdk for single registers, one packet each per cycle.

    Shadow servos carry their own IDs (3, 5) and obey what is written to their masters (2, 4)
    through their Secondary ID. They are checked and configured by their own IDs; no goal is ever
    addressed to them, and read() does not ask them: what befalls a shadow alone shows only where
    all servos are asked, as in hardware_errors().
    """

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._servos: Mapping[int, Servo] = {servo.id: servo for servo in arm.servos}
        addressed = arm.addressed
        self._ids = tuple(servo.id for servo in addressed)
        self._port = PollingPort(arm.port, arm.baud, arm.name)
        self._sdk = Protocol2PacketHandler()
        self._reader = SyncReader(self._port, self._ids)
        pairs = {i for s in arm.servos if s.shadow_of is not None for i in (s.shadow_of, s.id)}
        self._pair_reader = SyncReader(self._port, sorted(pairs))
        self._writer = goal_writer(self._port, self._ids)
        self._watch = Watch(self._port, arm.servos)
        self._with_current = [
            k for k, servo in enumerate(addressed) if "goal_current" in table_for(servo.model)
        ]
        self._current_writer = current_writer(
            self._port, [self._ids[k] for k in self._with_current]
        )
        self._current_limits: np.ndarray | None = None
        self._round_trip_s = math.nan
        self._nm_per_unit = np.array([units.NM_PER_UNIT[servo.model] for servo in addressed])
        limits = [_goal_limits(servo) for servo in addressed]
        self._lowest, self._highest = np.array(limits, dtype=np.int64).T

    @property
    def arm(self) -> Arm:
        return self._arm

    def open(self) -> None:
        self._port.openPort()

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
            alert=tuple(i for i, state in answers.items() if state[0] & ALERT),
            damaged=self._reader.damaged,
        )

    def watch(self) -> Mapping[int, ServoHealth]:
        known = self._watch.look()
        readers = (self._reader, *self._watch.readers)
        return {
            i: replace(
                health,
                requests=(asked := sum(r.reads for r in readers if i in r.missed)),
                answers=asked - sum(r.missed.get(i, 0) for r in readers),
            )
            for i, health in known.items()
        }

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        wanted = np.asarray(position, dtype=np.float64)
        if wanted.shape != (len(JOINTS),):
            raise ValueError(f"{self._arm.name}: goals have shape {wanted.shape}, expected (7,)")
        if not np.isfinite(wanted).all():
            bad = [joint for joint, value in zip(JOINTS, wanted, strict=True) if value - value != 0]
            raise ValueError(f"{self._arm.name}: the goal of {', '.join(bad)} is not a number")
        ticks = np.clip(units.rad_to_ticks(wanted), self._lowest, self._highest)
        self._writer.write(ticks.tolist())
        return units.ticks_to_rad(ticks)

    def write_currents(self, current_a: np.ndarray) -> np.ndarray:
        wanted = np.asarray(current_a, dtype=np.float64)
        if wanted.shape != (len(JOINTS),) or not np.isfinite(wanted).all():
            raise ValueError(f"{self._arm.name}: currents {wanted} are not seven finite numbers")
        if self._current_limits is None:
            limits = [self.read_register(self._ids[k], "current_limit") for k in self._with_current]
            self._current_limits = np.array(limits)
        units_wanted = np.rint(wanted[self._with_current] / units.AMPERE_PER_CURRENT_UNIT)
        written = np.clip(units_wanted, -self._current_limits, self._current_limits).astype(int)
        self._current_writer.write(written.tolist())
        current = np.zeros(len(JOINTS))
        current[self._with_current] = written * units.AMPERE_PER_CURRENT_UNIT
        return current

    # -- all servos -------------------------------------------------------------------------

    def check(self) -> None:
        silent, wrong = [], []
        for servo in self._servos.values():
            number, result = 0, None
            for _ in range(TRIES):
                number, result, _ = self._sdk.ping(self._port, servo.id)
                if result == COMM_SUCCESS:
                    break
            if result != COMM_SUCCESS:
                silent.append(servo.id)
            elif number != servo.model_number:
                wrong.append((servo, number))
        if silent:
            raise ServoSilent(self._silent_message(silent), tuple(silent))
        if wrong:
            what = "; ".join(
                f"{self._call(servo.id)} is model {number}, not {servo.model_number}: {servo.model}"
                for servo, number in wrong
            )
            raise WrongModel(
                f"{self._where()}: {what}; check that the port is this arm's, and the servos in "
                f"config/arms/{self._arm.model}.yaml",
                tuple(servo.id for servo, _ in wrong),
            )

    def configure(self) -> tuple[str, ...]:
        # Told without an answer: a servo below level 2 gives none, and would look dead.
        self._write_all("status_return_level", 2)
        changes = [
            (servo, name, value)
            for servo in self._servos.values()
            for name, value in servo.registers.items()
            if not _is_left_alone(servo, name) and self.read_register(servo.id, name) != value
        ]
        locked = [change for change in changes if register_of(change[0].model, change[1]).eeprom]
        powered = [i for i, on in self.torque().items() if on] if locked else []
        if powered:
            raise TorqueIsOn(
                f"{self._where()}: {_list(locked)} must be written to EEPROM, but "
                f"{', '.join(map(self._call, powered))} have torque and the arm would drop; "
                "park the arm, take its torque off, and configure again",
                tuple(powered),
            )
        # EEPROM first: a new operating mode resets gains and profiles.
        self._write_verified([*locked, *(c for c in changes if c not in locked)])
        if any(name == "operating_mode" for _, name, _ in locked):
            for servo in self._servos.values():
                self._configure_ram(servo)
        done = [f"{self._call(servo.id)}: {name} = {value}" for servo, name, value in changes]
        return (*done, *align_shadows(self, self._pair_reader))

    def torque(self) -> Mapping[int, bool]:
        return {i: bool(self.read_register(i, "torque_enable")) for i in self._servos}

    def set_torque(self, on: bool) -> None:
        self._write_all("torque_enable", int(on))

    def set_watchdog(self, timeout_s: float) -> None:
        steps = round(timeout_s / units.WATCHDOG_UNIT_S)
        if not 0 <= steps <= 127 or (timeout_s > 0 and steps == 0):
            raise ValueError(f"{timeout_s} s is no watchdog time: 0, or 0.02 … 2.54 s")
        self._write_all("bus_watchdog", 0)
        if steps:
            self._write_all("bus_watchdog", steps)

    def set_mode(self, mode: str) -> None:
        if mode not in ("position", "current"):
            raise ValueError(f"{self._arm.name}: no mode '{mode}'; there is position, current")
        powered = tuple(i for i, on in self.torque().items() if on)
        if powered:
            raise TorqueIsOn(
                f"{self._where()}: the operating mode can only be changed without torque, but "
                f"{', '.join(map(self._call, powered))} have it; park the arm, take it off",
                powered,
            )
        for servo in self._servos.values():
            number = servo.registers["operating_mode"]
            if mode == "current" and 0 in OPERATING_MODES[servo.model]:
                number = 0
            if self.read_register(servo.id, "operating_mode") != number:
                self._write_verified([(servo, "operating_mode", number)])
                self._configure_ram(servo)

    def latency_timer_ms(self) -> int | None:
        return latency_timer_ms(self._arm.port)

    def hardware_errors(self) -> Mapping[int, tuple[str, ...]]:
        status = {i: self.read_register(i, "hardware_error_status") for i in self._servos}
        return {i: describe_hardware_error(value) for i, value in status.items() if value}

    # -- one servo --------------------------------------------------------------------------

    def read_register(self, servo_id: int, name: str) -> int:
        register = register_of(self._servo(servo_id).model, name)
        data, error = [], 0
        for _ in range(TRIES):
            data, result, error = self._sdk.readTxRx(
                self._port, servo_id, register.address, register.size
            )
            if result == COMM_SUCCESS:
                break
        else:
            raise ServoSilent(self._silent_message([servo_id]), (servo_id,))
        self._check_status(servo_id, error, f"reading {name}")
        return register.decode(bytes(data))

    def write_register(self, servo_id: int, name: str, value: int) -> None:
        register = register_of(self._servo(servo_id).model, name)
        data, error = list(register.encode(value)), 0
        for _ in range(TRIES):
            result, error = self._sdk.writeTxRx(
                self._port, servo_id, register.address, register.size, data
            )
            if result == COMM_SUCCESS:
                break
        else:
            raise ServoSilent(self._silent_message([servo_id]), (servo_id,))
        self._check_status(servo_id, error, f"writing {name} = {value}")

    def reboot(self, servo_id: int) -> None:
        servo = self._servo(servo_id)
        group = [servo, *(s for s in self._servos.values() if s.shadow_of == servo_id)]
        for one in group:
            self._sdk.reboot(self._port, one.id)
        deadline = time.monotonic() + REBOOT_LIMIT_S
        waiting = {one.id for one in group}
        while waiting:
            self.read()  # heard by all: their watchdogs do not trip while this one restarts
            waiting -= {i for i in waiting if self._sdk.ping(self._port, i)[1] == COMM_SUCCESS}
            if waiting and time.monotonic() > deadline:
                raise ServoSilent(self._silent_message(sorted(waiting)), tuple(sorted(waiting)))
        for one in group:
            self._configure_ram(one)

    def recover(self, ids: Iterable[int]) -> None:
        group = self._pairs_of(ids)
        for one in group:
            self._await(one.id)
            self.write_register(one.id, "torque_enable", 0)
        broken = [s for s in group if self.read_register(s.id, "hardware_error_status")]
        for one in broken:
            self._sdk.reboot(self._port, one.id)
        for one in group:
            self._await(one.id)
            self._configure_ram(one)
        self._watch.forget()

    def _pairs_of(self, ids: Iterable[int]) -> list[Servo]:
        masters = {self._servo(i).shadow_of or i for i in ids}
        return [s for s in self._servos.values() if {s.id, s.shadow_of} & masters]

    def _await(self, servo_id: int) -> None:
        """Until the servo answers; meanwhile the others hear packets: no watchdog trips."""
        deadline = time.monotonic() + REBOOT_LIMIT_S
        while self._sdk.ping(self._port, servo_id)[1] != COMM_SUCCESS:
            self.read()
            if time.monotonic() > deadline:
                raise ServoSilent(self._silent_message([servo_id]), (servo_id,))

    # -- parts ------------------------------------------------------------------------------

    def _servo(self, servo_id: int) -> Servo:
        if servo_id not in self._servos:
            raise ValueError(
                f"{self._arm.name} has no servo {servo_id}; it has "
                f"{', '.join(map(str, self._servos))}"
            )
        return self._servos[servo_id]

    def _write_all(self, name: str, value: int) -> None:
        """One packet to all servos, so that master and shadow act at the same instant; verified."""
        register = register_of(self._arm.servos[0].model, name)
        window = register.address.to_bytes(2, "little") + register.size.to_bytes(2, "little")
        each = b"".join(bytes((i,)) + register.encode(value) for i in self._servos)
        self._port.clearPort()
        self._port.writePort(instruction(BROADCAST, SYNC_WRITE, window + each))
        found = {i: self.read_register(i, name) for i in self._servos}
        deaf = tuple(i for i in found if found[i] != value)
        if deaf:
            raise NotTaken(
                f"{self._where()}: {', '.join(map(self._call, deaf))} did not take "
                f"{name} = {value}; check for a hardware error, and reboot the servo if it has one",
                deaf,
            )

    def _configure_ram(self, servo: Servo) -> None:
        self._write_verified(
            (servo, name, value)
            for name, value in servo.registers.items()
            if not register_of(servo.model, name).eeprom
        )

    def _write_verified(self, changes: Iterable[tuple[Servo, str, int]]) -> None:
        for servo, name, value in changes:
            self.write_register(servo.id, name, value)
            found = self.read_register(servo.id, name)
            if found != value:
                raise NotTaken(
                    f"{self._where()}: {self._call(servo.id)} was told {name} = {value} and reads "
                    f"{found}; check the servo's firmware and config/arms/{self._arm.model}.yaml",
                    (servo.id,),
                )

    def _check_status(self, servo_id: int, error: int, doing: str) -> None:
        code = error & ~ALERT
        if code:
            raise ServoRefused(
                f"{self._where()}: {self._call(servo_id)} refused {doing}: "
                f"{STATUS_ERRORS.get(code, f'error {code}')}",
                (servo_id,),
                code,
            )

    def _where(self) -> str:
        return f"{self._arm.name} ({self._arm.port})"

    def _call(self, servo_id: int) -> str:
        servo = self._servos[servo_id]
        return f"servo {servo_id} ({servo.joint}{' shadow' if servo.shadow_of is not None else ''})"

    def _silent_message(self, ids: Iterable[int]) -> str:
        silent = list(ids)
        verb = "does" if len(silent) == 1 else "do"
        return (
            f"{self._where()}: {', '.join(map(self._call, silent))} {verb} not answer; check the "
            f"arm's power, the cable chain up to servo {silent[0]}, its ID, and that all servos "
            f"run at {self._arm.baud} baud"
        )


def _is_left_alone(servo: Servo, name: str) -> bool:
    """Registers that configure() does not compare: a shadow's offset is measured instead."""
    return name in NEVER_WRITTEN or (servo.shadow_of is not None and name == "homing_offset")


def _goal_limits(servo: Servo) -> tuple[int, int]:
    """The goals that a servo takes, ticks: in a sync write it refuses others without a word."""
    if servo.registers.get("operating_mode", 3) != 3:
        return -1_048_575, 1_048_575
    registers = servo.registers
    return registers.get("min_position_limit", 0), registers.get("max_position_limit", 4095)


def _list(changes: Iterable[tuple[Servo, str, int]]) -> str:
    return ", ".join(f"{name} of servo {servo.id}" for servo, name, _ in changes)
