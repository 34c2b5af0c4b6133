"""An arm that is held, cycle by cycle: whether its servos may have let go, and held anew if so."""

import numpy as np

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.arm_modes import Mode
from aloha_stack.control.displaced import Displaced
from aloha_stack.dynamixel.arm_bus import BusState
from aloha_stack.dynamixel.errors import ServoError
from aloha_stack.nodes._arm_health import ArmHealth
from aloha_stack.nodes._arm_hold import ArmHold
from aloha_stack.nodes._jobs import Refused

WATCHDOG_MARGIN = 0.8
"""The part of the watchdog's time after which, without a packet, it may have tripped."""
REMARK_S = 5.0
"""ROS time for which the status tells that an arm was held anew."""


class ArmGrip:
    """Between controller and servos, while the arm is held. For the cycle's thread."""

    def __init__(self, hold: ArmHold, controller: ArmController, health: ArmHealth) -> None:
        self.hold, self.controller, self.health = hold, controller, health
        self.arm = controller.arm
        self.loose = False
        """Whether goals are kept back until the arm is held anew."""
        self._displaced = Displaced()
        self._done, self._done_s = "", 0.0
        """What was done last, in words, and when."""

    def forget(self) -> None:
        """A new connection: nothing is known of the servos."""
        self.loose, self.hold.goals, self._done = False, None, ""
        self._displaced.moved()

    def take(self, keep: bool = False, goes_on: bool = False) -> None:
        """By the servos (see ArmHold.take). If it `goes_on`, parking does too."""
        self.loose = True
        goals = self.hold.take(keep)
        self.loose = False
        self.health.start_anew()
        self.controller.take_hold(goals, goes_on)
        self.controller.torque = True

    def write(self, goals: np.ndarray) -> np.ndarray | None:
        """Goals (7,) rad as written; None while they are kept back."""
        return None if self.loose else self.hold.write(goals)

    def may_have_tripped(self, gap_s: float) -> bool:
        """Whether the watchdogs may have, after so long without a packet."""
        return gap_s > WATCHDOG_MARGIN * self.hold.watchdog_s

    def keep(self, state: BusState, gap_s: float, now_s: float) -> str:
        """Before the goals of a cycle, `gap_s` after the one before: holds the arm anew if that is
        needed. Returns what to log, or "". `health.remark` and `health.unheld` tell the operator.
        """
        note = self._renew(state, gap_s) or self._ease(state, now_s)
        if note:
            self._done, self._done_s = note, now_s
        elif not 0.0 <= now_s - self._done_s <= REMARK_S:
            self._done = ""
        self.health.remark = self._displaced.words or self._done
        return f"{self.arm.name}: {note}" if note else ""

    def _renew(self, state: BusState, gap_s: float) -> str:
        """If the servos may have let go of their goals: what was done, or "".

        A servo whose watchdog has tripped takes no goal any more, and one that restarted is limp;
        neither says so by itself.
        """
        health = self.health
        why = self._doubt(gap_s)
        if not why or health.limp:
            return ""
        health.unheld = health.unheld or f"{why}; the arm is to be held anew"
        settled = self.loose or self.controller.limiter.at_rest
        if not state.complete or health.missed or not settled:
            return ""
        try:
            health.learn_torque(self.hold.bus.torque())
            if not health.limp:
                self.take(keep=True, goes_on=True)
        except (Refused, ServoError) as error:
            health.unheld = f"{why}, and the arm cannot be held anew: {error}"
            return ""
        # Who restarted has forgotten its registers: that is known until they are written again.
        health.unsure.intersection_update(health.limp)
        return "" if health.limp else f"{why}; held anew where the arm is"

    def _doubt(self, gap_s: float) -> str:
        """Why the servos may not hold what they were told to hold, in words; or empty."""
        health = self.health
        if self.may_have_tripped(gap_s):
            self.loose = True
            return f"the bus had a pause of {gap_s:.2f} s"
        if health.tripped:
            return f"the Bus Watchdog of {health.names(health.tripped)} has tripped"
        if health.unsure:
            return f"{health.names(health.unsure)} did not answer for a while"
        if self.loose:
            return "the arm was not taken hold of"
        return ""

    def _ease(self, state: BusState, now_s: float) -> str:
        """If an arm at rest was pushed off its goals: what was done, or "". See Displaced."""
        control, health, goals = self.controller, self.health, self.hold.goals
        if control.mode not in (Mode.HOLDING, Mode.E_STOPPED) or not control.limiter.at_rest:
            self._displaced.moved()
            return ""
        if goals is None or self.loose or health.limp or health.errors or not state.complete:
            return ""
        if not self._displaced.look(goals, state.position, now_s):
            return ""
        why = self._displaced.words
        try:
            self.take(keep=True)
        except (Refused, ServoError) as error:
            health.unheld = f"{why}; and the arm cannot be held anew: {error}"
            return ""
        self._displaced.words = ""
        return f"{why}; held anew where the arm is"
