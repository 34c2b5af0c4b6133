"""An arm's controller on its bus: the order in which servos are read, held, moved and let go."""

import contextlib
from dataclasses import dataclass

import numpy as np

from aloha_stack.control.arm_controller import ArmController, Counters
from aloha_stack.control.arm_modes import Health, Mode
from aloha_stack.dynamixel.arm_bus import ArmBus, BusState
from aloha_stack.dynamixel.errors import BusError, ServoError, ServoSilent
from aloha_stack.robot.joints import ARM_JOINTS

REST_RAD = 0.15
"""An arm whose joints are all this near to its rest pose is resting there, and cannot drop."""


WATCHDOG_MARGIN = 0.8
"""The part of the watchdog's time after which, without a packet, it may have tripped."""


class Refused(RuntimeError):
    """What was asked for is not done; the message says why, and what to do."""


@dataclass(frozen=True)
class Cycle:
    """What one cycle saw and did. `state` is None if a servo was silent; `written` (7,) rad is None
    if no goals went to the wire; `note` is for the log, if something was out of the ordinary."""

    state: BusState | None
    written: np.ndarray | None
    note: str = ""


class ArmDriver:
    """Everything that touches the bus; for one thread."""

    def __init__(self, bus: ArmBus, controller: ArmController, watchdog_s: float = 0.5) -> None:
        self.bus, self.controller, self.watchdog_s = bus, controller, watchdog_s
        self.arm = bus.arm
        self._last_read_s: float | None = None
        self._last_cycle_s: float | None = None
        self._alert: tuple[int, ...] = ()
        self._error = self._stalled = ""

    # -- every cycle ------------------------------------------------------------------------

    def cycle(self, now_s: float, steady_s: float) -> Cycle:
        """Reads, decides, writes. A BusError means that the bus is lost: call fail()."""
        counters = self.controller.counters
        counters.cycles += 1
        state = self.bus.read()
        if state.complete:
            self._last_read_s = now_s
        else:
            counters.failed_reads += 1
        # A servo that misses one answer is as sick as it was.
        alert = tuple(sorted({*state.alert, *(set(self._alert) & set(state.missing))}))
        if alert != self._alert:
            self._alert, self._error = alert, self._describe_alert(alert)
        note = self._after_a_stall(now_s)
        health = Health(self.read_age_s(now_s), state.missing, self._error, self._stalled)
        goal = self.controller.next_goal(now_s, steady_s, health)
        written = None if goal is None or self._stalled else self.bus.write_goals(goal)
        return Cycle(state if state.complete else None, written, note)

    def _after_a_stall(self, now_s: float) -> str:
        """Holds the arm anew if its servos' watchdogs may have tripped; what is to be said of it.

        A servo whose watchdog has tripped takes no goal any more, and says nothing about it.
        """
        last_s, self._last_cycle_s = self._last_cycle_s, now_s
        if not (self.controller.active and self.controller.torque):
            self._stalled = ""
            return ""
        gap_s = 0.0 if last_s is None else now_s - last_s
        if gap_s <= WATCHDOG_MARGIN * self.watchdog_s and not self._stalled:
            return ""
        try:
            self._take_hold(goes_on=True)
        except (Refused, ServoError) as error:
            self._stalled = f"the bus had a pause and the arm cannot be held anew: {error}"
            return ""
        note = f"{self.arm.name}: the bus had a pause of {gap_s:.2f} s; held anew where the arm is"
        self.controller.rejected = note
        return note

    def read_age_s(self, now_s: float) -> float:
        """Since the last complete reading; infinite before the first."""
        return float("inf") if self._last_read_s is None else max(0.0, now_s - self._last_read_s)

    def clock_jumped(self) -> None:
        """ROS time ran backwards: what was read and commanded before has no age any more."""
        self._last_read_s = None
        self.controller.clock_jumped()

    # -- life cycle -------------------------------------------------------------------------

    def connect(self) -> tuple[str, ...]:
        """Opens the port, checks and configures the servos; returns what was changed. BusError."""
        self.controller.fault = self.controller.left = ""
        self._last_read_s, self._alert, self._error = None, (), ""
        self._last_cycle_s, self._stalled = None, ""
        self.bus.open()
        try:
            self.bus.check()
            changes = self.bus.configure()
            self.controller.torque = any(self.bus.torque().values())
            return changes
        except BusError:
            self.bus.close()
            raise

    def activate(self, adopt: bool = False) -> None:
        """Takes the arm as it is. Refused if torque was found on, unless `adopt`.

        A follower gets its goal from its present position, torque, and the Bus Watchdog, and holds
        until commands come. A leader gets no torque: it is moved by hand.
        """
        hot = [servo for servo, on in self.bus.torque().items() if on]
        if hot and not adopt:
            raise Refused(
                f"{self.arm.name}: servos {_list(hot)} have torque already: somebody may rely on "
                f"it. See that nobody else drives the arm, then call /{self.arm.name}/adopt"
            )
        self.controller.counters = Counters()
        if self.arm.is_leader:
            self.bus.set_watchdog(0)
            self.bus.set_torque(False)
            self.controller.torque = False
        else:
            self._take_hold()
        self.controller.left = ""
        self.controller.active = True

    def release(self) -> str:
        """Lets go of the arm: torque off, but only when it is measured at the rest pose.

        Returns what was left on, in words; empty if nothing was. The status shows it too.
        """
        controller = self.controller
        controller.left = ""
        if not (controller.active and controller.torque):
            controller.active = False
            return ""
        try:
            why = self._why_not_at_rest()
            if not why:
                self._let_go()
            else:
                controller.left = (
                    f"{self.arm.name} is not at its rest pose ({why}): its torque stays on, so "
                    f"that it does not drop; to go on from there call /{self.arm.name}/adopt"
                )
        except BusError as error:
            controller.left = f"{self.arm.name} may still have torque: {error}"
            raise
        finally:
            controller.active = False
        return controller.left

    def _why_not_at_rest(self) -> str:
        """Measured, not believed: servos may be told where to go and not obey."""
        if not self.controller.at_rest_pose:
            return self.controller.reason
        state = self.bus.read()
        if not state.complete:
            return f"servos {_list(state.missing)} do not answer"
        joints = len(ARM_JOINTS)
        away = abs(state.position - self.arm.rest_pose)[:joints]
        worst = int(away.argmax())
        if away[worst] <= REST_RAD:
            return ""
        return f"{ARM_JOINTS[worst]} is {away[worst]:.2f} rad away though it was told to go there"

    def fail(self, why: str) -> None:
        """The bridge cannot go on until it is cleaned up and configured again."""
        self.controller.active = self.controller.torque = False
        self.controller.fault = why
        self.controller.react(0.0)
        self.bus.close()

    # -- services ---------------------------------------------------------------------------

    def set_torque(self, on: bool) -> str:
        """By the operator's wish. Raises Refused while the arm moves, and for leaders."""
        name, controller = self.arm.name, self.controller
        if self.arm.is_leader:
            raise Refused(f"{name} is a leader: it has no torque, a hand moves it")
        if not controller.active:
            raise Refused(f"{name} is not active; activate its bridge first")
        if on:
            if not (controller.torque and all(self.bus.torque().values())):
                self._take_hold()
            return f"{name} is held where it is"
        moving = controller.mode in (Mode.RAMPING, Mode.FOLLOWING, Mode.PARKING)
        if moving or not controller.limiter.at_rest:
            raise Refused(f"{name} is {controller.mode.name.lower()}: stop its commands first")
        self._let_go()
        return f"{name} is limp"

    def reboot(self) -> str:
        """Reboots the servos in hardware error and takes hold again; says which."""
        masters = {servo.id: servo.shadow_of or servo.id for servo in self.arm.servos}
        broken = self.bus.hardware_errors()
        for servo_id in dict.fromkeys(masters[i] for i in broken):
            self.bus.reboot(servo_id)
        self._alert, self._error = (), ""
        if not broken:
            return f"{self.arm.name}: no servo is in hardware error"
        if self.controller.active and self.controller.torque:
            self._take_hold()
        return f"{self.arm.name}: rebooted servos {_list(broken)}"

    # -- parts ------------------------------------------------------------------------------

    def _take_hold(self, goes_on: bool = False) -> None:
        """Goal := present, torque on, watchdog armed. If it `goes_on`, parking does too."""
        state = self.bus.read()
        if not state.complete:
            raise Refused(
                f"{self.arm.name}: servos {_list(state.missing)} do not answer; check their cables "
                "and power"
            )
        limp = not any(self.bus.torque().values())
        try:
            self.bus.set_watchdog(0)
            self.bus.write_goals(state.position)
            self.bus.set_torque(True)
            self.bus.write_goals(state.position)
            self.bus.set_watchdog(self.watchdog_s)
        except ServoError:
            self._undo_hold(limp)
            raise
        self._last_cycle_s, self._stalled = None, ""
        self.controller.take_hold(state.position, goes_on)
        self.controller.torque = True

    def _undo_hold(self, was_limp: bool) -> None:
        """As far as the servos obey: limp as before, or held with the watchdog armed."""
        with contextlib.suppress(ServoError):
            if was_limp:
                self.bus.set_torque(False)
                self.controller.torque = False
            else:
                self.bus.set_watchdog(self.watchdog_s)

    def _let_go(self) -> None:
        """Torque first: until it is off, the watchdog has to watch."""
        self.bus.set_torque(False)
        self.controller.torque = False
        with contextlib.suppress(ServoError):  # without torque there is nothing to watch
            self.bus.set_watchdog(0)

    def _describe_alert(self, alert: tuple[int, ...]) -> str:
        if not alert:
            return ""
        try:
            errors = dict(self.bus.hardware_errors())
        except ServoSilent:  # another one, perhaps; this one's word is enough to hold
            errors = {}
        words = dict.fromkeys(alert, ("reports one",)) | errors
        return "; ".join(f"servo {i} {', '.join(words[i])}" for i in sorted(words))


def _list(ids: object) -> str:
    return ", ".join(map(str, ids))  # type: ignore[call-overload]
