"""One arm on its bus: joint states out, commands in, and the safety contract in between.

Launched in the namespace of its arm. A lifecycle node: inactive it only reads; active, a follower
holds its arm by the servos and follows `command`, a leader stays limp. Leaving `active` parks it.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from aloha_interfaces.msg import SafetyState
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Empty
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.dead_man import DeadMan
from aloha_stack.control.gravity import GravityCompensation
from aloha_stack.control.voices import Voices
from aloha_stack.dynamixel.arm_bus import ArmBus
from aloha_stack.dynamixel.errors import BusError
from aloha_stack.nodes._arm_backends import BACKENDS
from aloha_stack.nodes._arm_cycles import ArmCycles
from aloha_stack.nodes._arm_driver import ArmDriver
from aloha_stack.nodes._arm_float import ArmFloat
from aloha_stack.nodes._arm_parameters import declared_parameters
from aloha_stack.nodes._arm_reports import ArmReports
from aloha_stack.nodes._arm_services import ArmServices
from aloha_stack.nodes._arm_waiting import Waiting
from aloha_stack.nodes._conversions import read_command
from aloha_stack.nodes._jobs import Refused
from aloha_stack.nodes._node import ManagedNode, logged, run
from aloha_stack.nodes._qos import COMMAND, STATE
from aloha_stack.robot.description import Arm, load_robot

CLOCK_GONE_S = 5.0
"""Steady time after which parking gives up on a clock that stands still."""
STOP_S = 2.0
"""Steady time that a stop may take."""

TWO_SAFETY_NODES = "more than one safety node speaks, and none is believed; end all but one"

FAILED = TransitionCallbackReturn.FAILURE


class ArmBridge(ManagedNode):
    """The node; `make_bus` makes the arm's bus from its description, in place of `backend`."""

    def __init__(self, make_bus: Callable[[Arm], ArmBus] | None = None, **options: Any) -> None:
        super().__init__("arm_bridge", **options)
        given = declared_parameters(self)
        self.arm = load_robot(given.robot).arm(given.arm)
        self.controller = ArmController(self.arm, given.settings)
        bus = make_bus(self.arm) if make_bus else BACKENDS[given.backend](self.arm, self)
        self._floating = None
        if given.light and self.arm.is_leader:
            compensation = GravityCompensation(self.arm, given.cap_a, given.scale)
            dead_man = DeadMan(self.arm.limits)
            self._floating = ArmFloat(bus, compensation, dead_man, given.watchdog_s)
        self.driver = ArmDriver(bus, self.controller, given.watchdog_s, self._floating)
        self._arm_services = ArmServices(self.driver)
        self._reports = ArmReports(self, self.driver)
        self._cycles = ArmCycles(self, self.driver, self._reports)
        self._adopting = False
        self._voices, self._waiting = Voices(TWO_SAFETY_NODES), Waiting()
        self._make_topics()
        self._reports.status(self.time.now_ns())

    def _make_topics(self) -> None:
        if not self.arm.is_leader:
            self.create_subscription(JointTrajectory, "command", self._on_command, COMMAND)
        heed: Any = self._on_safety  # rclpy's annotation knows callbacks of one argument only
        self.create_subscription(SafetyState, "/safety/state", heed, STATE)
        # The e-stop never waits behind another service, nor any service behind a transition.
        stop_group, group = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, "e_stop", self._on_e_stop, callback_group=stop_group)
        self.create_service(SetBool, "torque", self._on_torque, callback_group=group)
        self.create_service(Trigger, "adopt", self._on_adopt, callback_group=group)
        self.create_service(Trigger, "reboot", self._on_reboot, callback_group=group)
        if self._floating:
            self.create_service(SetBool, "float", self._on_float, callback_group=group)
            self.create_subscription(Empty, "/operator/presence", self._on_presence, 1)

    # -- life cycle -------------------------------------------------------------------------

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self.time.simulated and self.time.now_ns() == 0:
            return self._wait("waiting for /clock: use_sim_time is set; is the twin running?")
        try:
            changes = self.driver.connect()
        except BusError as error:
            return self._wait(f"waiting for the arm: {error}")
        self._waiting.over()
        for change in changes:
            self.get_logger().debug(f"configured {change}")
        self._cycles.start()
        return super().on_configure(state)

    def _wait(self, why: str) -> TransitionCallbackReturn:
        if words := self._waiting.tell(why, time.monotonic()):
            self.get_logger().warning(words)
        self._cycles.diagnostics.waits(why, self.time.now_ns())
        return FAILED

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        adopt, self._adopting = self._adopting, False
        try:
            self._cycles.ask(self.driver.adopt if adopt else self.driver.activate)
        except (BusError, Refused) as error:
            self.get_logger().error(f"not activated: {error}")
            return FAILED
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._park()
        return super().on_deactivate(state)

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._disconnect()
        return super().on_cleanup(state)

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._park()
        self._disconnect()
        return super().on_shutdown(state)

    @logged
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """No thread and no open port outlives a transition that raised; torque stays as it is."""
        self._disconnect()
        return super().on_error(state)

    def close(self) -> None:
        super().close()
        self._disconnect()

    def _park(self) -> None:
        """Controlled stop, rest pose, torque off. Takes its time: the clock goes on meanwhile."""
        if not self._cycles.alive or not self.controller.active:
            return
        log = self.get_logger()
        self.controller.begin_parking()
        if self._floating:
            self._floating.dead_man.stop("the bridge lets go of the arm")
        seen_ns, seen_at = self.time.now_ns(), time.monotonic()
        while not (self.controller.parked and self._is_down()) and self._cycles.alive:
            time.sleep(0.02)
            if (now := self.time.now_ns()) != seen_ns:
                seen_ns, seen_at = now, time.monotonic()
            elif time.monotonic() - seen_at > CLOCK_GONE_S:
                log.error("parking was given up: /clock stands still")
                break
        try:
            left = self._cycles.ask(self.driver.release)
        except (BusError, Refused) as error:
            log.error(f"the arm could not be let go in order: {error}")
            return
        if left := left or self.controller.fault:
            log.error(left)

    def _is_down(self) -> bool:
        """Whether no leader is carried."""
        return self._floating is None or self._floating.down

    def _disconnect(self) -> None:
        connected = self._cycles.alive or self._cycles.broken
        self._cycles.end()
        self.controller.active = False
        self.driver.disconnect()
        if connected:
            self.controller.react(time.monotonic())
            self._reports.status(self.time.now_ns())

    # -- messages and services --------------------------------------------------------------

    def _on_command(self, message: JointTrajectory) -> None:
        self.controller.offer(read_command(message), self.time.now_s())

    def _on_safety(self, message: SafetyState, about: dict[str, Any]) -> None:
        before, steady_s = self.controller.mode, time.monotonic()
        rival = self._voices.hear(about, steady_s)
        self.controller.heartbeat(message.e_stopped, message.cause, steady_s, rival)
        # Wakes the cycle's thread too where /clock does not: it stands still, or crawls.
        if self.controller.mode != before or self._reports.overdue(steady_s):
            self._cycles.poke()

    def _on_e_stop(self, _: Any, response: Any) -> Any:
        self.controller.e_stop(f"{self.arm.name}: e_stop was called")
        self._cycles.poke()
        ended = "the bridge's cycles have ended" if self._cycles.broken else ""
        why = self.controller.fault or ended
        response.success = not why
        response.message = why or f"{self.arm.name} stops and stays stopped"
        return response

    def _on_torque(self, request: Any, response: Any) -> Any:
        on, asked_s = bool(request.data), time.monotonic()
        return self._answer(response, lambda: self._arm_services.set_torque(on, asked_s))

    def _on_reboot(self, _: Any, response: Any) -> Any:
        """Of an arm that has come to rest: what is wrong with it has stopped it."""
        until_s = time.monotonic() + STOP_S
        while time.monotonic() < until_s:
            if self.controller.limiter.at_rest and self._is_down():
                break
            time.sleep(0.01)
        return self._answer(response, self._arm_services.reboot)

    def _on_float(self, request: Any, response: Any) -> Any:
        asked_s = time.monotonic()
        return self._answer(
            response, lambda: self._arm_services.set_floating(bool(request.data), asked_s)
        )

    def _on_presence(self, _: Empty) -> None:
        if self._floating:
            self._floating.dead_man.renew(time.monotonic())

    def _on_adopt(self, _: Any, response: Any) -> Any:
        """In place of an activation, or after one that is just going on; and again, where an active
        bridge has lost its port."""
        if self.state == "active":
            return self._answer(response, self.driver.adopt)
        if self.state in ("inactive", "activating"):
            self._adopting = True
            response.success = self.transition("activate") or self.state == "active"
            self._adopting = False
        response.message = (
            f"{self.arm.name} was taken over as it was found"
            if response.success
            else f"{self.arm.name} is {self.state} and was not taken over; see the bridge's log"
        )
        return response

    def _answer(self, response: Any, job: Callable[[], str]) -> Any:
        try:
            response.message = self._cycles.ask(job)
            response.success = True
        except (BusError, Refused) as error:
            response.success, response.message = False, str(error)
        return response


def main(args: list[str] | None = None) -> int:
    return run(ArmBridge, args)


if __name__ == "__main__":
    sys.exit(main())
