"""A leader that its own servos carry, so that it is light in the hand: current mode, and no more.

Without torque, or with currents of zero, it is as limp as any leader.
"""

import contextlib

import numpy as np

from aloha_stack.control.dead_man import NOT_ASKED, DeadMan
from aloha_stack.control.gravity import GravityCompensation
from aloha_stack.dynamixel.arm_bus import ArmBus, BusState
from aloha_stack.dynamixel.errors import ServoError
from aloha_stack.robot.joints import JOINTS

CURRENT_MODE = 0
PAUSED = "the bus had a pause; ask for gravity compensation anew"


class ArmFloat:
    """Goal currents of one leader; for the cycle's thread, but renew(), which any may call."""

    def __init__(
        self, bus: ArmBus, compensation: GravityCompensation, dead_man: DeadMan, watchdog_s: float
    ) -> None:
        self.bus, self.compensation, self.dead_man = bus, compensation, dead_man
        self.watchdog_s = watchdog_s
        self.carried: frozenset[int] = frozenset()
        """The servos that are in current mode, and have torque."""
        self._position = self._velocity = np.zeros(len(JOINTS))

    @property
    def down(self) -> bool:
        """Whether the arm is in nobody's hands but the operator's."""
        return not self.carried or self.dead_man.share == 0.0

    @property
    def words(self) -> str:
        """What it does, or why it does not."""
        return self.dead_man.reason or "its weight is carried by its servos"

    def begin(self) -> None:
        """A limp arm's servos into current mode, pushing with nothing. TorqueIsOn, ServoError.

        A servo that knows no current (the gripper's XC430) stays limp.
        """
        self.dead_man.stop(NOT_ASKED)
        self.dead_man.share = 0.0
        try:
            self.bus.set_mode("current")
            ids = [servo.id for servo in self.bus.arm.servos]
            carried = [i for i in ids if self._mode(i) == CURRENT_MODE]
            self.bus.write_currents(np.zeros(len(JOINTS)))
            self.bus.set_watchdog(self.watchdog_s)
            for servo_id in carried:
                self.bus.write_register(servo_id, "torque_enable", 1)
        except ServoError:
            with contextlib.suppress(ServoError):
                self.end()
            raise
        self.carried = frozenset(carried)

    def end(self) -> None:
        """Limp, and in the robot file's operating modes again. ServoError."""
        self.carried = frozenset()
        self.bus.set_torque(False)
        self.bus.set_watchdog(0)
        self.bus.set_mode("position")

    def give_up(self) -> None:
        """The bus is gone: the servos stop pushing by their watchdogs."""
        self.carried = frozenset()

    def step(
        self,
        state: BusState,
        steady_s: float,
        *,
        read_age_s: float,
        heartbeat: bool,
        e_stopped: bool,
    ) -> None:
        """One cycle: the currents that are allowed now, on the wire."""
        if not self.carried:
            return
        if state.complete:
            self._position, self._velocity = state.position, state.velocity
        share = self.dead_man.step(
            steady_s,
            read_age_s=read_age_s,
            heartbeat=heartbeat,
            e_stopped=e_stopped,
            velocity=self._velocity,
        )
        currents = np.zeros(len(JOINTS))
        if share > 0.0:
            currents = share * self.compensation.currents(self._position, self._velocity)
        self.bus.write_currents(currents)

    def rearm(self) -> None:
        """After a pause: the watchdogs may have tripped, and take no currents. ServoError."""
        self.dead_man.stop(PAUSED)
        self.bus.set_watchdog(self.watchdog_s)

    def _mode(self, servo_id: int) -> int:
        return self.bus.read_register(servo_id, "operating_mode")
