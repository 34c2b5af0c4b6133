"""An arm's controller on its bus: the order in which servos are read, held, moved and let go."""

import contextlib
import math
from dataclasses import dataclass

import numpy as np

from aloha_stack.control.arm_controller import ArmController, Counters
from aloha_stack.dynamixel.arm_bus import ArmBus, BusState
from aloha_stack.dynamixel.errors import BusError, ServoError
from aloha_stack.nodes._arm_float import CURRENT_MODE, ArmFloat
from aloha_stack.nodes._arm_grip import ArmGrip
from aloha_stack.nodes._arm_health import ArmHealth
from aloha_stack.nodes._arm_hold import ArmHold
from aloha_stack.nodes._arm_port import LostPort
from aloha_stack.nodes._jobs import Refused

LOOK_EVERY = 5
"""Cycles between two slow looks at all nine servos."""


@dataclass(frozen=True)
class Cycle:
    """What one cycle saw and did. `state` is None if a servo was silent; `written` (7,) rad is None
    if no goals went to the wire; `note` is for the log, if something was out of the ordinary."""

    state: BusState | None
    written: np.ndarray | None
    note: str = ""


class ArmDriver:
    """Everything that touches the bus; for one thread. `floating` carries a leader, if given."""

    def __init__(
        self,
        bus: ArmBus,
        controller: ArmController,
        watchdog_s: float = 0.5,
        floating: ArmFloat | None = None,
    ) -> None:
        self.bus, self.controller = bus, controller
        self.arm = bus.arm
        self.hold, self.floating = ArmHold(bus, watchdog_s), floating
        self.health = ArmHealth(self.arm, controller.settings)
        self.grip = ArmGrip(self.hold, controller, self.health)
        self._cycle_s: tuple[float, float] | None = None
        """When the last cycle began: ROS time, steady time."""
        self._lost: LostPort | None = None

    @property
    def held(self) -> bool:
        """Whether the arm is held by its servos, for this bridge."""
        return self.controller.active and self.controller.torque and not self.arm.is_leader

    # -- every cycle ------------------------------------------------------------------------

    def cycle(self, now_s: float, steady_s: float) -> Cycle:
        """Reads, decides, writes. A BusError means that the bus is lost: call lose()."""
        control, health = self.controller, self.health
        control.counters.cycles += 1
        gap_s = self._gap(now_s, steady_s)
        state = self.bus.read()
        control.counters.failed_reads += not state.complete
        health.saw(state, now_s)
        note = self.grip.keep(state, gap_s, now_s) if self.held else ""
        if note:
            self._cycle_s = None  # the arm was held anew, which takes its time
        goal = control.next_goal(now_s, steady_s, health.found(now_s, self.held))
        written = None if goal is None else self.grip.write(goal)
        if self.floating and self.floating.carried:
            self._carry(self.floating, state, now_s, steady_s, gap_s)
        if control.counters.cycles % LOOK_EVERY == 0:
            servos = self.bus.watch()
            control.counters.failed_reads += not all(s.answered for s in servos.values())
            health.looked(servos, now_s)
        return Cycle(state if state.complete else None, written, note)

    def _gap(self, now_s: float, steady_s: float) -> float:
        """ROS time since the last cycle began, steady time if the clock was set back; 0 for the
        first."""
        last, self._cycle_s = self._cycle_s, (now_s, steady_s)
        if last is None:
            return 0.0
        if now_s < last[0]:  # ROS time was set back: it does not tell how long the bus had a pause
            return steady_s - last[1]
        gap_s = now_s - last[0]
        self.health.pace.add(gap_s, steady_s - last[1], self.bus.round_trip_s)
        return gap_s

    def _carry(
        self, floating: ArmFloat, state: BusState, now_s: float, steady_s: float, gap_s: float
    ) -> None:
        """A leader's weight, as far as the dead man's condition allows."""
        health, control = self.health, self.controller
        if self.grip.may_have_tripped(gap_s) or floating.carried & set(health.tripped):
            with contextlib.suppress(ServoError):  # tried again as long as it shows
                floating.rearm()
        if floating.carried & set(health.limp):
            floating.dead_man.stop(health.limp_words(floating.carried))
        floating.step(
            state,
            steady_s,
            read_age_s=health.read_age_s(now_s),
            heartbeat=control.hears_safety(steady_s),
            e_stopped=control.e_stopped,
        )
        control.carried = floating.words

    def clock_jumped(self) -> None:
        """ROS time ran backwards: what was read and commanded before has no age any more."""
        if self._cycle_s:
            self._cycle_s = (math.inf, self._cycle_s[1])
        self.health.clock_jumped()
        self.controller.clock_jumped()

    # -- life cycle -------------------------------------------------------------------------

    def connect(self) -> tuple[str, ...]:
        """Opens the port, checks and configures the servos; returns what was changed. BusError."""
        self._cycle_s = None
        self.grip.forget()
        self.bus.open()
        try:
            self.bus.check()
            if self.arm.is_leader:
                self._sink()
            changes = self.bus.configure()
            self.controller.torque = any(self.bus.torque().values())
        except BusError:
            self.bus.close()
            raise
        self.health.forget()
        self.health.latency_ms = self.bus.latency_timer_ms()
        self.controller.fault = self.controller.left = ""
        self._lost = None
        return changes

    def _sink(self) -> None:
        """A leader that was left floating by a bridge which died: its servos push with nothing once
        their watchdogs have tripped, but nobody could configure them. Those that hold a position
        are left as they are: without them the leader would fall."""
        for servo_id, on in self.bus.torque().items():
            if on and self.bus.read_register(servo_id, "operating_mode") == CURRENT_MODE:
                self.bus.write_register(servo_id, "torque_enable", 0)

    def activate(self, adopt: bool = False) -> None:
        """Takes the arm as it is. Refused if torque was found on, unless `adopt`.

        A follower gets its goal from its present position, torque, and the Bus Watchdog, and holds
        until commands come. A leader gets no torque: it is moved by hand. One that is held by its
        servos is refused, but at its rest pose, where it cannot fall.
        """
        if self.controller.fault:
            raise Refused(self.controller.fault)
        if why := self._held_by_others(adopt):
            self.controller.left = why
            raise Refused(why)
        self.set_up_anew()
        self.controller.counters = Counters()
        if self.arm.is_leader:
            self.bus.set_watchdog(0)
            self.bus.set_torque(False)
            if self.floating:
                self.floating.begin()
            self.controller.torque = self.floating is not None
        else:
            self.take_hold()
        self.controller.left = ""
        self.controller.active = True

    def _held_by_others(self, adopt: bool) -> str:
        """Why servos that were found with torque keep the arm from being taken, or empty."""
        hot = [servo for servo, on in self.bus.torque().items() if on]
        name = self.arm.name
        if not hot or (adopt and not self.arm.is_leader):
            return ""
        if not self.arm.is_leader:
            verb = "has" if len(hot) == 1 else "have"
            return (
                f"{name}: {self.health.names(hot)} {verb} torque already: somebody may rely "
                f"on it. See that nobody else drives the arm, then call /{name}/adopt"
            )
        if not (away := self.hold.away_from_rest()):
            return "" if adopt else f"{name} has torque already; call /{name}/adopt to take it off"
        return (
            f"{name} is a leader, and held in the air by {self.health.names(hot)}: it falls when "
            f"they let go ({away}). Take it in your hands, call /{name}/torque data:=false, and "
            f"once more to confirm; then /{name}/adopt"
        )

    def adopt(self) -> str:
        """Takes the arm over as it is found, also after its port was lost. Refused, BusError."""
        name = self.arm.name
        if self.controller.active:
            why = f"; {self.controller.reason}" if self.controller.reason else ""
            raise Refused(f"{name} is in the hands of this bridge already{why}")
        if self.controller.fault:
            self.connect()
        self.activate(adopt=True)
        return f"{name} was taken over as it was found"

    def release(self) -> str:
        """Lets go of the arm: torque off, but only when it is measured at the rest pose.

        Returns what was left on, in words; empty if nothing was. The status shows it too.
        """
        controller = self.controller
        controller.left = ""
        try:
            if self.floating and self.floating.carried:
                self.floating.end()
            elif self.held:
                why = controller.reason or "it was not parked"
                if controller.at_rest_pose and (why := self.hold.away_from_rest()):
                    why += ", though it was told to go there"
                if why:
                    controller.left = (
                        f"{self.arm.name} is not at its rest pose ({why}): its torque stays on, so "
                        f"that it does not drop; to go on from there call /{self.arm.name}/adopt"
                    )
                else:
                    self.hold.let_go()
            controller.torque = bool(controller.left)
        except BusError as error:
            controller.left = f"{self.arm.name} may still have torque: {error}"
            raise
        finally:
            controller.active = False
        return controller.left

    def disconnect(self) -> None:
        """Gives the port back; the servos stay as they are."""
        self.bus.close()
        self.controller.fault, self._lost = "", None

    def fail(self, why: str) -> None:
        """The bridge cannot go on. The servos hold, and stop by their watchdogs."""
        self.controller.active = self.controller.torque = False
        self.controller.fault = why
        self.controller.react(0.0)
        if self.floating:
            self.floating.give_up()
        self.bus.close()

    def lose(self, error: BusError, steady_s: float) -> None:
        """The bus is lost: nothing moves until the operator has the arm adopted."""
        self._lost = LostPort(self.bus, error, steady_s)
        self.fail(self._lost.words)

    def look_for_port(self, steady_s: float) -> None:
        """While the bus is lost: whether its port is there again. The fault tells."""
        if self._lost:
            self._lost.look(steady_s)
            self.controller.fault = self._lost.words
            self.controller.react(steady_s)

    # -- torque -----------------------------------------------------------------------------

    def set_up_anew(self) -> None:
        """What servos forget when they restart: for all that may have, before they get torque."""
        if self.health.unsure:
            self.bus.configure()
            self.health.unsure.clear()

    def take_hold(self, keep: bool = False, goes_on: bool = False) -> None:
        """By the servos. If it `goes_on`, parking does too."""
        self.grip.take(keep, goes_on)
        self._cycle_s = None
