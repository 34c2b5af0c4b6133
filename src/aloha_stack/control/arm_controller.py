"""Where an arm's goals go, cycle by cycle. The safety contract is decided here; no bus, no ROS."""

import threading
from dataclasses import dataclass

import numpy as np

from aloha_stack.control.arm_modes import EStop, Health, Mode, Settings
from aloha_stack.control.commands import AT_END, Command, CommandError, CommandStream
from aloha_stack.control.joining import Joining
from aloha_stack.control.limits import JointLimiter
from aloha_stack.control.parking import Parking
from aloha_stack.robot.description import Arm

STRAINED_RAD = 0.02
"""Less than this behind its target no one notices: a tuned servo lags by more."""


@dataclass
class Counters:
    """Since activation."""

    cycles: int = 0
    failed_reads: int = 0
    rejected_commands: int = 0
    clamped_commands: int = 0
    strained_cycles: int = 0
    """In which the limits held the arm back by more than STRAINED_RAD."""


class ArmController:
    """Decides the goals of one arm from commands, e-stop, heartbeat and the health of its bus.

    `active` and `torque` tell whether the bridge works with the arm, and holds it by its servos:
    who drives the bus sets them, calls take_hold() when the torque goes on, and next_goal() once a
    cycle, from one thread. offer(), e_stop() and heartbeat() may come from other threads. `mode`
    and `reason` say what it is doing, and why.
    """

    def __init__(self, arm: Arm, settings: Settings | None = None) -> None:
        self.arm, self.settings = arm, settings or Settings()
        self.limiter = JointLimiter(arm.limits, self.settings.period_s)
        self.stream = CommandStream(self.settings.max_command_age_s)
        self.joining = Joining(self.settings.period_s)
        self.counters = Counters()
        self.mode, self.reason = Mode.INACTIVE, ""
        self.active = self.torque = False
        self.fault = ""
        self.left = ""
        """Why an arm that is not worked with any more was left with torque."""
        self.carried = ""
        """How the servos of a leader carry its weight, or why they do not."""
        self.rejected = ""
        """Why the last command was refused; empty once one is taken."""
        self.rival = ""
        """That more than one safety node speaks, in words: then none is believed."""
        self._lock = threading.RLock()
        self._stop = EStop()
        self._health = Health()
        self._heartbeat_s: float | None = None
        self._parking: Parking | None = None

    # -- from any thread --------------------------------------------------------------------

    def offer(self, command: Command | CommandError, now_s: float) -> None:
        """A command, or why what came is none. What is refused moves nothing and is counted.

        Commands count only while the arm follows or waits for them; otherwise they are not heard.
        """
        clamped = isinstance(command, Command) and self.limiter.clamps(command.positions)
        with self._lock:
            if self.mode not in (Mode.HOLDING, Mode.RAMPING, Mode.FOLLOWING):
                return
            try:
                if isinstance(command, CommandError):
                    raise command
                if self.stream.offer(command, now_s, self.limiter.position):
                    self.joining.begin(self.limiter.position)
            except CommandError as error:
                self.counters.rejected_commands += 1
                self.rejected = str(error)
                return
            self.rejected = ""
            self.counters.clamped_commands += clamped

    def e_stop(self, cause: str) -> None:
        """Stops within limits, and obeys nothing until the safety node's e-stop is reset."""
        with self._lock:
            self._stop.trip(cause)
            self._show_e_stop()

    def heartbeat(self, e_stopped: bool, cause: str, steady_s: float, rival: str = "") -> None:
        """The safety node's state, heard at steady time `steady_s`; its reset ends the stop.

        While there is a `rival`, every stop counts and no reset does.
        """
        with self._lock:
            self.rival = rival
            if rival or not self.hears_safety(steady_s):
                self._stop.lose_remote()
            self._heartbeat_s = steady_s
            self._stop.hear(e_stopped, cause)
            self._show_e_stop()

    def clock_jumped(self) -> None:
        """ROS time ran backwards: what was commanded before means nothing now."""
        with self._lock:
            self.stream.clear()

    # -- from the cycle's thread ------------------------------------------------------------

    def take_hold(self, position: np.ndarray, goes_on: bool = False) -> None:
        """The goals are at `position` (7,) rad, at rest: the arm's own, as its torque goes on.

        Parking that was begun before is over, unless it `goes_on` from there.
        """
        with self._lock:
            if not goes_on:
                self._parking = None
            elif self._parking is not None:
                self._parking.begin_again()
            self.stream.clear()
            self.limiter.reset(position)
            self.joining.begin(position)

    def next_goal(self, now_s: float, steady_s: float, health: Health) -> np.ndarray | None:
        """The goals (7,) rad to write in this cycle; None if nothing is to be written."""
        with self._lock:
            self._health = health
            if self._idle():
                return None
            if self._parking is not None and not self._stop:
                return self._park(now_s)
            self._parking = None
            held = self._hold(steady_s)
            if held:
                self.stream.clear()
            else:
                goal = self._follow(now_s)
                if goal is not None:
                    return goal
            goal = self.limiter.stop()
            self.joining.begin(goal)
            return goal

    def react(self, steady_s: float, why: str = "") -> None:
        """While there are no cycles, for the reason `why`: mode and reason go on, nothing moves."""
        with self._lock:
            if why:
                self._health = Health(sick=why)
            if not self._idle() and self._parking is None and self._hold(steady_s):
                self.stream.clear()

    def begin_parking(self) -> None:
        """From now on next_goal() stops the arm and brings it to its rest pose; see `parked`.

        An arm in e-stop is not moved.
        """
        with self._lock:
            if self.active and self.torque and not self._stop and not self.arm.is_leader:
                self._parking = Parking(self.arm, self.limiter, self.settings)
                self._set(Mode.PARKING, "on its way to the rest pose")

    @property
    def troubled(self) -> bool:
        """Whether an operator has to look: a fault, an e-stop, or something wrong with the bus."""
        health = self._health
        wrong = health.sick or health.slow or health.remark or self.rival
        return bool(self.fault or self._stop or wrong)

    @property
    def parked(self) -> bool:
        """Whether nothing is left to wait for: at the rest pose, limp, in e-stop, or given up."""
        if not self.active or not self.torque or self.arm.is_leader:
            return True
        if self._parking is None:
            return self.limiter.at_rest
        return self._parking.done or self._parking.given_up

    @property
    def at_rest_pose(self) -> bool:
        """Whether the goals are at the rest pose, and rest there; where the arm is, is measured."""
        return self._parking is not None and self._parking.done

    def hears_safety(self, steady_s: float) -> bool:
        """Whether the safety node's heartbeat is there."""
        last_s = self._heartbeat_s
        return last_s is not None and steady_s - last_s <= self.settings.heartbeat_timeout_s

    @property
    def e_stopped(self) -> bool:
        return bool(self._stop)

    # -- parts ------------------------------------------------------------------------------

    def _idle(self) -> bool:
        """True if no goals are written; the mode then says why."""
        sick = self._health.sick
        if self.fault:
            self._set(Mode.FAULT, self.fault)
        elif self.arm.is_leader and self._stop.own:
            self._set(Mode.E_STOPPED, self._stop.cause)
        elif self.active and self.arm.is_leader:
            why = self._stop.cause or sick or self.rival or self._health.slow
            self._set(Mode.BACK_DRIVEN, why or self.carried)
        elif self.active and self.torque:
            return False
        elif self._stop and not self.arm.is_leader:
            self._set(Mode.E_STOPPED, self._stop.cause)
        else:
            limp = "torque was switched off by service"
            self._set(Mode.INACTIVE, (sick or limp) if self.active else (self.left or sick))
        return True

    def _park(self, now_s: float) -> np.ndarray:
        """The next goal on the way to the rest pose, on which a sick arm stops and waits."""
        assert self._parking is not None
        if self._health.sick:
            self._set(Mode.PARKING, f"waits on its way to the rest pose: {self._health.sick}")
            return self._parking.wait(now_s)
        self._set(Mode.PARKING, "on its way to the rest pose")
        return self._parking.next_goal(now_s)

    def _show_e_stop(self) -> None:
        """At once, so that neither an acknowledgement nor a reset waits for a cycle."""
        if self.fault or self.arm.is_leader:
            self._idle()
        elif self._stop:
            self.stream.clear()
            self._set(Mode.E_STOPPED, self._stop.cause)
        elif self.mode == Mode.E_STOPPED and not self._idle():
            self._set(Mode.HOLDING, self.stream.silence(0.0))

    def _hold(self, steady_s: float) -> bool:
        """Whether commands do not count now; the mode and the reason then say why."""
        health = self._health
        if self._stop:
            self._set(Mode.E_STOPPED, self._stop.cause)
        elif health.sick:
            self._set(Mode.HOLDING, health.sick)
        elif not self.hears_safety(steady_s):
            self._set(Mode.HOLDING, "no heartbeat from safety")
        elif self.rival:
            self._set(Mode.HOLDING, self.rival)
        elif health.slow:
            self._set(Mode.HOLDING, health.slow)
        else:
            return False
        return True

    def _follow(self, now_s: float) -> np.ndarray | None:
        """The next goal on the way that is commanded; None if there is nothing to follow."""
        wanted = self.stream.wanted(now_s)
        if wanted is None:
            more = "; ".join(filter(None, (self.rejected, self._health.remark)))
            silence = self.stream.silence(now_s)
            self._set(Mode.HOLDING, f"{silence} ({more})" if more else silence)
            return None
        point = self.joining.towards(wanted)
        if self.joining.active:
            self._set(Mode.RAMPING, "joining the commands")
        elif wanted.ended and self.limiter.at_rest:
            self._set(Mode.HOLDING, AT_END)
        else:
            self._set(Mode.FOLLOWING, "")
        goal = self.limiter.step(point.position, point.velocity, point.acceleration)
        self.counters.strained_cycles += self.limiter.furthest_behind > STRAINED_RAD
        return goal

    def _set(self, mode: Mode, reason: str) -> None:
        self.mode, self.reason = mode, reason
