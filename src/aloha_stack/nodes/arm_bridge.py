"""One arm on its bus: joint states out, commands in, and the safety contract in between.

Launched in the namespace of its arm. A lifecycle node: inactive it only reads; active, a follower
holds its arm by the servos and follows `command`, a leader stays limp. Leaving `active` parks it.
"""

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from aloha_interfaces.msg import SafetyState
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control.arm_controller import ArmController
from aloha_stack.control.arm_modes import Settings
from aloha_stack.control.pacing import Pacer
from aloha_stack.dynamixel.bus import ArmBus, DynamixelBus
from aloha_stack.dynamixel.errors import BusError
from aloha_stack.nodes._arm_driver import ArmDriver, Refused
from aloha_stack.nodes._arm_reports import ArmReports
from aloha_stack.nodes._conversions import read_command
from aloha_stack.nodes._node import ManagedNode, logged, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._qos import COMMAND, STATE
from aloha_stack.robot.description import Arm, load_robot

CLOCK_GONE_S = 5.0
"""Steady time after which parking gives up on a clock that stands still."""
SERVICE_LIMIT_S = 20.0

DONE = TransitionCallbackReturn.SUCCESS
FAILED = TransitionCallbackReturn.FAILURE


class ArmBridge(ManagedNode):
    """The node; `make_bus` makes the arm's bus from its description."""

    def __init__(self, make_bus: Callable[[Arm], ArmBus] = DynamixelBus, **options: Any) -> None:
        super().__init__("arm_bridge", **options)
        robot = declare(self, "robot", "aloha", "robot file: a name in config/robots, or a path")
        name = declare(self, "arm", str, "which arm of the robot file this is")
        rate_hz = declare(self, "rate_hz", 100.0, "bus cycles per second of ROS time", (10, 500))
        settings = Settings(
            period_s=1 / rate_hz,
            max_command_age_s=declare(
                self, "max_command_age", 0.1, "s; an older command moves nothing", (0.01, 2.0)
            ),
            heartbeat_timeout_s=declare(
                self,
                "heartbeat_timeout",
                0.5,
                "s of steady time without /safety/state until the arm holds",
                (0.1, 5.0),
            ),
            park_speed_rad_s=declare(
                self, "park_speed", 1.0, "rad/s; top speed on the way to the rest pose", (0.1, 3.0)
            ),
        )
        watchdog_s = declare(
            self,
            "watchdog",
            0.5,
            "s until the servos stop by themselves (Bus Watchdog)",
            (0.1, 2.5),
        )
        self.arm = load_robot(robot).arm(name)
        self.controller = ArmController(self.arm, settings)
        self.driver = ArmDriver(make_bus(self.arm), self.controller, watchdog_s)
        self._thread: threading.Thread | None = None
        self._wake, self._ending = threading.Event(), threading.Event()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._adopting = False
        self._overruns = 0
        self._make_topics()
        self._reports.status(self.time.now_ns(), self._overruns)

    def _make_topics(self) -> None:
        self._reports = ArmReports(self, self.driver)
        if not self.arm.is_leader:
            self.create_subscription(JointTrajectory, "command", self._on_command, COMMAND)
        self.create_subscription(SafetyState, "/safety/state", self._on_safety, STATE)
        # The e-stop never waits behind another service, nor any service behind a transition.
        stop_group, group = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, "e_stop", self._on_e_stop, callback_group=stop_group)
        self.create_service(SetBool, "torque", self._on_torque, callback_group=group)
        self.create_service(Trigger, "adopt", self._on_adopt, callback_group=group)
        self.create_service(Trigger, "reboot", self._on_reboot, callback_group=group)

    # -- life cycle -------------------------------------------------------------------------

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self.time.simulated and self.time.now_ns() == 0:
            self.get_logger().warning(
                "waiting for /clock: use_sim_time is set; is the twin running?"
            )
            return FAILED
        try:
            changes = self.driver.connect()
        except BusError as error:
            self.get_logger().warning(f"waiting for the arm: {error}")
            return FAILED
        for change in changes:
            self.get_logger().debug(f"configured {change}")
        self._ending.clear()
        self._thread = threading.Thread(target=self._run_cycles, name="cycle")
        self._thread.start()
        return super().on_configure(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        adopt, self._adopting = self._adopting, False
        try:
            self._in_cycle_thread(lambda: self.driver.activate(adopt))
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
        if self._thread is None or not self.controller.active:
            return
        self.controller.begin_parking()
        seen_ns, seen_at = self.time.now_ns(), time.monotonic()
        while not self.controller.parked and self._thread.is_alive():
            time.sleep(0.02)
            if (now := self.time.now_ns()) != seen_ns:
                seen_ns, seen_at = now, time.monotonic()
            elif time.monotonic() - seen_at > CLOCK_GONE_S:
                self.get_logger().error("parking was given up: /clock stands still")
                break
        try:
            left = self._in_cycle_thread(self.driver.release)
        except (BusError, Refused) as error:
            self.get_logger().error(f"the arm could not be let go in order: {error}")
            return
        if left:
            self.get_logger().error(left)

    def _disconnect(self) -> None:
        self._ending.set()
        self.time.poke(self._wake)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.controller.active = False
            self.controller.react(time.monotonic())
            self._reports.status(self.time.now_ns(), self._overruns)
        self.driver.bus.close()
        self.controller.fault = ""

    # -- the cycle's thread -----------------------------------------------------------------

    def _run_cycles(self) -> None:
        """The thread's life. What nobody foresaw ends the process, in order: the servos hold."""
        try:
            self._cycle_until_the_end()
        except Exception as error:
            self.driver.fail(f"the bridge has failed: {error!r}; see its log and start it anew")
            self.fail(error)
            self._reports.status(self.time.now_ns(), self._overruns)
            raise
        finally:
            self._refuse_jobs()

    def _cycle_until_the_end(self) -> None:
        pacer = Pacer(
            self.controller.settings.period_s,
            self.time.now_ns,
            lambda deadline_ns: self.time.sleep_until(deadline_ns, self._wake),
        )
        jumps = 0
        while not self._ending.is_set():
            due = pacer.wait()
            self._wake.clear()
            if pacer.jumps != jumps:
                jumps = pacer.jumps
                self.driver.clock_jumped()
            self._overruns = pacer.overruns
            now_ns = self.time.now_ns()
            if due:
                self._one_cycle(now_ns)
            else:
                self.controller.react(time.monotonic())
            self._serve_jobs()
            self._reports.status(now_ns, self._overruns)

    def _one_cycle(self, now_ns: int) -> None:
        if self.controller.fault:
            return
        try:
            cycle = self.driver.cycle(now_ns * 1e-9, time.monotonic())
        except BusError as error:
            self.driver.fail(f"{error}; then call cleanup, configure and activate, or start anew")
            self.get_logger().error(self.controller.fault)
            return
        if cycle.note:
            self.get_logger().warning(cycle.note)
        self._reports.cycle(cycle, now_ns, self.time.now_ns())

    def _in_cycle_thread(self, job: Callable[[], Any]) -> Any:
        """Runs `job` between two cycles, since only that thread may use the bus; its result.

        Refused if there is no such thread, if it ends meanwhile, or if it has no time for too long.
        """
        thread, future = self._thread, Future[Any]()
        if thread is None or not thread.is_alive():
            raise Refused(f"{self.arm.name} is not configured; its bridge has no connection")
        self._jobs.put((job, future))
        self.time.poke(self._wake)
        end_s = time.monotonic() + SERVICE_LIMIT_S
        while not wait([future], 0.1).done:
            if not thread.is_alive():
                self._refuse_jobs()
            elif time.monotonic() > end_s and future.cancel():
                raise Refused(f"{self.arm.name}: the bus had no time for it in {SERVICE_LIMIT_S} s")
        return future.result()

    def _serve_jobs(self) -> None:
        while not self._jobs.empty():
            job, future = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job()
            except (BusError, Refused) as error:
                future.set_exception(error)
            except Exception as error:
                future.set_exception(Refused(f"{self.arm.name}: the bridge has failed: {error!r}"))
                raise
            else:
                future.set_result(result)

    def _refuse_jobs(self) -> None:
        """What the thread did not come to before its end."""
        with contextlib.suppress(queue.Empty):
            while True:
                _, future = self._jobs.get_nowait()
                if future.set_running_or_notify_cancel():
                    why = f"{self.arm.name}: the bridge has let go of the bus meanwhile"
                    future.set_exception(Refused(why))

    # -- messages and services --------------------------------------------------------------

    def _on_command(self, message: JointTrajectory) -> None:
        self.controller.offer(read_command(message), self.time.now_s())

    def _on_safety(self, message: SafetyState) -> None:
        before, steady_s = self.controller.mode, time.monotonic()
        self.controller.heartbeat(message.e_stopped, message.cause, steady_s)
        # Wakes the cycle's thread too where /clock does not: it stands still, or crawls.
        if self.controller.mode != before or self._reports.overdue(steady_s):
            self.time.poke(self._wake)

    def _on_e_stop(self, _: Any, response: Any) -> Any:
        self.controller.e_stop(f"{self.arm.name}: e_stop was called")
        self.time.poke(self._wake)
        dead = self._thread is not None and not self._thread.is_alive()
        why = self.controller.fault or ("the bridge's cycles have ended" if dead else "")
        response.success = not why
        response.message = why or f"{self.arm.name} stops and stays stopped"
        return response

    def _on_torque(self, request: Any, response: Any) -> Any:
        return self._answer(response, lambda: self.driver.set_torque(bool(request.data)))

    def _on_reboot(self, _: Any, response: Any) -> Any:
        return self._answer(response, self.driver.reboot)

    def _on_adopt(self, _: Any, response: Any) -> Any:
        self._adopting = True
        response.success = self.transition("activate")
        self._adopting = False
        response.message = (
            f"{self.arm.name} was taken over as it was found"
            if response.success
            else f"{self.arm.name} is {self.state} and was not taken over; see the bridge's log"
        )
        return response

    def _answer(self, response: Any, job: Callable[[], str]) -> Any:
        try:
            response.message = self._in_cycle_thread(job)
            response.success = True
        except (BusError, Refused) as error:
            response.success, response.message = False, str(error)
        return response


def main(args: list[str] | None = None) -> int:
    return run(ArmBridge, args)


if __name__ == "__main__":
    sys.exit(main())
