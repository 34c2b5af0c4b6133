"""What Interbotix' driver knows of the nine servos' health, asked for in the background.

The driver serves one thing at a time: while it reads registers it neither reads nor moves the arm.
So it is asked for one register of all servos, LOOK_EVERY_S apart, and nobody waits for the answer.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, cycle
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from rclpy.task import Future

from aloha_stack.dynamixel import units
from aloha_stack.dynamixel.arm_bus import ServoHealth
from aloha_stack.dynamixel.control_table import describe_hardware_error, register_of, table_for
from aloha_stack.nodes.interbotix_driver import ANSWER_LIMIT_S, XsDriver
from aloha_stack.nodes.interbotix_values import motor_name, register_name, register_value
from aloha_stack.robot.description import Arm, Servo
from aloha_stack.robot.joints import JOINTS

LOOK_EVERY_S = 0.2
"""Nine registers cost the driver some 10 ms, in which no joint states come."""
TURNS = (
    "hardware_error_status", "torque_enable", "hardware_error_status", "present_input_voltage",
    "hardware_error_status", "torque_enable", "hardware_error_status", "present_temperature",
    "hardware_error_status", "torque_enable", "hardware_error_status", "bus_watchdog",
)  # fmt: skip
"""Errors are at most 0.4 s old, torque 1.2 s, all else 2.4 s."""
FIRST = tuple(dict.fromkeys(TURNS))
"""Of servos of which nothing is known these are asked at once, one after the other."""
SILENT_AFTER = 2
SHADOWS_ONLY = ("present_position", "present_current")
"""The addressed servos tell these in every reading."""


class Question(NamedTuple):
    """A register asked of some servos with one call."""

    future: Future
    client: Any
    servos: tuple[Servo, ...]
    register: str


class Looks:
    """The health of all servos, by ID, as far as it was heard. For the bus' own thread.

    A servo counts as silent (`answered` is False) once it was asked in vain twice in a row: the
    driver asks it but once, and noise may have eaten that.
    """

    def __init__(self, driver: XsDriver, arm: Arm) -> None:
        self._driver, self._arm = driver, arm
        self._shadows = tuple(servo for servo in arm.servos if servo.shadow_of is not None)
        self._open: list[Question] = []
        self.forget()

    def forget(self) -> None:
        """Nothing of what was known is true any more."""
        self.doubt()
        self.known = {servo.id: ServoHealth(answered=True) for servo in self._arm.servos}
        self._vain = dict.fromkeys(self.known, 0)
        self._requests, self._answers = dict(self._vain), dict(self._vain)
        self._measured = (np.full(len(JOINTS), np.nan),) * 2
        self._turns = chain(FIRST, cycle(TURNS))
        self._hurried = len(FIRST)
        self._asked_s = float("-inf")

    def doubt(self) -> None:
        """Something is changed now: what was asked before may be answered with old news."""
        for question in self._open:
            question.client.remove_pending_request(question.future)
        self._open = []

    def look(self) -> Mapping[int, ServoHealth]:
        """Takes in what has been answered, asks anew when it is time. Raises PortLost."""
        now_s = time.monotonic()
        self._open = [question for question in self._open if not self._settled(question, now_s)]
        pause_s = 0.0 if self._hurried else LOOK_EVERY_S
        if not self._open and now_s - self._asked_s >= pause_s:
            self._asked_s = now_s
            self._hurried = max(0, self._hurried - 1)
            self._ask_all(next(self._turns))
        return self._all()

    def _all(self) -> dict[int, ServoHealth]:
        """What is known, with the counts and what the readings tell."""
        healths = {
            i: replace(health, requests=self._requests[i], answers=self._answers[i])
            for i, health in self.known.items()
        }
        for servo, rad, ampere in zip(self._arm.addressed, *self._measured, strict=True):
            has_current = "present_current" in table_for(servo.model)
            healths[servo.id] = replace(
                healths[servo.id],
                position_rad=float(rad),
                current_a=float(ampere) if has_current else math.nan,
            )
        return healths

    def heard(self, servos: Sequence[Servo], answered: bool) -> None:
        """Takes in that these servos answered to a question of their own, or did not."""
        for servo in servos:
            self._vain[servo.id] = 0 if answered else self._vain[servo.id] + 1
            there = self._vain[servo.id] < SILENT_AFTER
            self.known[servo.id] = replace(self.known[servo.id], answered=there)
        self.counted(servos, answered)

    def counted(self, servos: Iterable[Servo], answered: bool) -> None:
        """Counts a reading of these servos; the driver makes one for all, or none."""
        for servo in servos:
            self._requests[servo.id] += 1
            self._answers[servo.id] += answered

    def measured(self, position_rad: np.ndarray, current_a: np.ndarray) -> None:
        """Keeps what a reading says of the addressed servos, each (7,); NaN says nothing."""
        self._measured = (position_rad, current_a)

    def learn(self, servo: Servo, register: str, driver_value: int) -> None:
        """Keeps what a register says, as the driver gives it."""
        if tell := _TELLS.get(register):
            value = register_value(register_of(servo.model, register), driver_value)
            self.known[servo.id] = replace(self.known[servo.id], **tell(value))

    def _ask_all(self, register: str) -> None:
        self._ask("group", "all", self._arm.addressed, register)
        for shadow in self._shadows:
            self._ask("single", motor_name(shadow), (shadow,), register)
            if register == "torque_enable":
                for own in SHADOWS_ONLY:
                    if own in table_for(shadow.model):
                        self._ask("single", motor_name(shadow), (shadow,), own)

    def _ask(self, cmd_type: str, name: str, servos: tuple[Servo, ...], register: str) -> None:
        future, client = self._driver.ask(
            "get_motor_registers", cmd_type=cmd_type, name=name, reg=register_name(register)
        )
        self._open.append(Question(future, client, servos, register))

    def _settled(self, question: Question, now_s: float) -> bool:
        future, client, servos, register = question
        if not future.done():
            if now_s - self._asked_s < ANSWER_LIMIT_S:
                return False
            client.remove_pending_request(future)
            return True  # the driver is silent, not the servo: read() tells
        values = future.result().values
        self.heard(servos[: len(values)], True)
        for servo, value in zip(servos, values, strict=False):
            self.learn(servo, register, value)
        # There the driver stopped, if it did; those behind were not asked.
        self.heard(servos[len(values) : len(values) + 1], False)
        return True


_TELLS: Mapping[str, Callable[[int], dict[str, Any]]] = MappingProxyType(
    {
        "hardware_error_status": lambda value: {"hardware_error": describe_hardware_error(value)},
        "torque_enable": lambda value: {"torque": bool(value)},
        "bus_watchdog": lambda value: {"watchdog_tripped": value < 0},
        "present_input_voltage": lambda value: {"voltage_v": value * units.VOLT_PER_UNIT},
        "present_temperature": lambda value: {"temperature_c": float(value)},
        "present_current": lambda value: {"current_a": value * units.AMPERE_PER_CURRENT_UNIT},
        "present_position": lambda value: {
            "position_rad": (value - units.ZERO_TICKS) * units.RAD_PER_TICK
        },
    }
)
"""What each register says of a servo's health."""
