"""Servos that restart, or have restarted: waited for, and told again what they forgot."""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from aloha_stack.dynamixel import words
from aloha_stack.dynamixel.errors import ServoSilent
from aloha_stack.dynamixel.setup import Registers, Setup
from aloha_stack.robot.description import Arm, Servo

LIMIT_S = 5.0
"""How long a servo may take to answer again."""


class Restart:
    """ArmBus.reboot and ArmBus.recover.

    forget: called once the servos are back: what was known of them is outdated.
    meanwhile: called again and again while servos are waited for.
    during: in which they restart and are waited for.
    """

    def __init__(
        self,
        arm: Arm,
        requests: Registers,
        setup: Setup,
        forget: Callable[[], None],
        meanwhile: Callable[[], object] = lambda: None,
        during: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._arm, self._requests, self._setup = arm, requests, setup
        self._forget, self._meanwhile, self._during = forget, meanwhile, during

    def reboot(self, servo_id: int) -> None:
        """Restarts one servo, and its shadow; writes what they forgot."""
        group = self._with_shadows([self._requests.servo(servo_id)])
        self._restart(group)
        self._remind(group)

    def recover(self, ids: Iterable[int]) -> None:
        """Those of these that are in hardware error restart; all get what they forgot.

        The other one of a pair goes on holding the joint, with two exceptions. A shadow obeys what
        is addressed to its master: if that restarts, or has its torque taken, so does the shadow.
        """
        sick = [self._requests.servo(i) for i in sorted(set(ids))]
        self._await(sick)
        for servo in sick:
            if self._requests.read(servo.id, "torque_enable"):
                self._requests.write(servo.id, "torque_enable", 0)
        failed = [s for s in sick if self._requests.read(s.id, "hardware_error_status")]
        self._restart(self._with_shadows(failed))
        self._remind(self._with_shadows(sick))

    def _with_shadows(self, servos: Iterable[Servo]) -> list[Servo]:
        """These and all that obey them, which come last: they hear what their masters are told."""
        chosen = {servo.id for servo in servos}
        group = [s for s in self._arm.servos if s.id in chosen or s.shadow_of in chosen]
        return sorted(group, key=lambda servo: servo.shadow_of is not None)

    def _restart(self, servos: list[Servo]) -> None:
        if not servos:
            return
        with self._during():
            for servo in servos:
                self._requests.reboot(servo.id)
            self._await(servos)

    def _remind(self, servos: Iterable[Servo]) -> None:
        self._forget()
        for servo in servos:
            self._setup.write_ram(servo)

    def _await(self, servos: Iterable[Servo]) -> None:
        """Until all of these answer; a ServoSilent names who does not."""
        deadline = time.monotonic() + LIMIT_S
        waiting = {servo.id for servo in servos}
        while waiting := {i for i in waiting if not self._requests.is_there(i)}:
            if time.monotonic() > deadline:
                silent = tuple(sorted(waiting))
                raise ServoSilent(words.silent(self._arm, silent), silent)
            self._meanwhile()
