"""The grip of an arm's servos: taken without a jerk, kept without a sag, let go in order."""

import contextlib
from collections.abc import Mapping

import numpy as np

from aloha_stack.dynamixel.arm_bus import ArmBus, BusState
from aloha_stack.dynamixel.errors import ServoError
from aloha_stack.dynamixel.units import RAD_PER_TICK as TICK_RAD
from aloha_stack.dynamixel.words import call
from aloha_stack.nodes._jobs import Refused
from aloha_stack.robot.joints import ARM_JOINTS, GRIPPER, JOINTS

REST_RAD = 0.15
"""An arm whose joints are all this near to its rest pose is resting there, and cannot drop."""
KEEP_RAD = 0.1
"""A joint further than this from its goal does not hold it: its own weight pulls it off by less."""
JUMP_RAD = 0.02
"""A limp joint that cannot be held nearer than this to where it is would jump."""


class ArmHold:
    """Torque, Bus Watchdog and goals of one arm's servos.

    `goals` (7,) rad are those that the servos hold, or should; None if that is not known.
    """

    def __init__(self, bus: ArmBus, watchdog_s: float) -> None:
        self.bus, self.watchdog_s = bus, watchdog_s
        self.goals: np.ndarray | None = None

    def write(self, goals: np.ndarray) -> np.ndarray:
        """Goals (7,) rad to the servos; returns them as written."""
        self.goals = self.bus.write_goals(goals)
        return self.goals

    def take(self, keep: bool = False) -> np.ndarray:
        """Goal := present, torque on, watchdog armed; returns the goals (7,) rad.

        If told to `keep`, joints that hold still keep their goal: the weight that pulls them a
        little off it would pull them off again. Refused if a servo is silent, or if a limp joint
        stands where no goal can be; that and a ServoError leave the arm as it was, as far as the
        servos obey.
        """
        state = self.bus.read()
        if not state.complete:
            raise Refused(
                f"{self.bus.arm.name}: {call(self.bus.arm, *state.missing)} did not answer; check "
                "the cables and the power"
            )
        torque = self.bus.torque()
        goals = self._to_keep(state, torque) if keep else state.position
        # Known before anything can fail: the next attempt must not believe in goals of before.
        self.goals = goals
        try:
            self.bus.set_watchdog(0)
            self._refuse_a_jump(state.position, self.write(goals), torque)
            self.bus.set_torque(True)
            goals = self.write(goals)
            self.bus.set_watchdog(self.watchdog_s)
        except (ServoError, Refused):
            with contextlib.suppress(ServoError):
                if any(torque.values()):
                    self.bus.set_watchdog(self.watchdog_s)
                else:
                    self.bus.set_torque(False)
            raise
        return goals

    def away_from_rest(self) -> str:
        """What keeps the arm from being at its rest pose, where it may be let go; or empty.

        Measured, not believed: servos may be told where to go and not obey.
        """
        state = self.bus.read()
        if not state.complete:
            return f"{call(self.bus.arm, *state.missing)} did not answer"
        away = abs(state.position - self.bus.arm.rest_pose)[: len(ARM_JOINTS)]
        worst = int(away.argmax())
        if away[worst] <= REST_RAD:
            return ""
        return f"{ARM_JOINTS[worst]} is {away[worst]:.2f} rad away from it"

    def let_go(self) -> None:
        """Torque off. That first: until it is, the watchdog has to watch."""
        self.bus.set_torque(False)
        self.goals = None
        with contextlib.suppress(ServoError):  # without torque there is nothing to watch
            self.bus.set_watchdog(0)

    def _refuse_a_jump(
        self, present: np.ndarray, goals: np.ndarray, torque: Mapping[int, bool]
    ) -> None:
        """A limp joint beyond what its servo takes as a goal would run there with its torque on."""
        for servo, here, goal in zip(self.bus.arm.addressed, present, goals, strict=True):
            # With its torque on a servo forgets its whole turns: a tick beyond its one turn, and it
            # would run through all of it.
            over = abs(here) > np.pi - TICK_RAD / 2 and abs(goal - here) > TICK_RAD / 2
            if not torque[servo.id] and (over or abs(goal - here) > JUMP_RAD):
                raise Refused(
                    f"{self.bus.arm.name}: {servo.joint} stands at {here:.2f} rad, beyond the "
                    f"position limits of its servo ({goal:.2f} rad is the nearest goal that it "
                    "takes): torque would make it jump; move it back by hand, then try again"
                )

    def _to_keep(self, state: BusState, torque: Mapping[int, bool]) -> np.ndarray:
        """The goals (7,) rad as they were, but where the arm is for joints that let go of theirs:
        they are limp, their watchdog has tripped, or they are not where they were told to be. (A
        gripper that is not is gripping something; a shadow that is limp alone leaves its master's
        goal as it is.)"""
        if self.goals is None:
            return state.position
        loose = [
            not torque[servo.id] or self.bus.read_register(servo.id, "bus_watchdog") < 0
            for servo in self.bus.arm.addressed
        ]
        away = np.abs(state.position - self.goals) > KEEP_RAD
        away[JOINTS.index(GRIPPER)] = False
        return np.where(away | loose, state.position, self.goals)
