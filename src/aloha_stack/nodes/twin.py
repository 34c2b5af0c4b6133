"""The twin's node: /clock, the task's state and its services around the simulation."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from aloha_interfaces.msg import TaskState, TeleopState
from aloha_interfaces.srv import InjectFault, ResetTask
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._diagnostics import Findings, NodeDiagnostics
from aloha_stack.nodes._jobs import Jobs, Refused
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._qos import CLOCK, STATE
from aloha_stack.nodes._state_diagnostics import STARTING, of_task
from aloha_stack.robot.description import load_robot
from aloha_stack.twin.faults import FAULTS, Fault, FaultError
from aloha_stack.twin.operator import NotReadyError
from aloha_stack.twin.simulation import Simulation

CLOCK_NS = 5_000_000
"""Model time between two /clock messages."""

TASK_STATE_NS = 20_000_000
CLEAR = "clear"
"""In place of a kind of fault: ends them all."""

QUIET_S = 0.5
"""Wall time for which no port may be open before the world leaves."""

WORLD_ANSWER_S = 10.0
"""Wall time within which the world's thread gets to a request."""

LINGER_S = 80.0
"""Wall time that arms get to park before the world leaves all the same."""


class TwinNode(SimpleNode):
    """Publishes /clock and /task/state; serves /twin/reset, /twin/perform, /twin/inject_fault."""

    def __init__(self) -> None:
        super().__init__("twin")
        robot = declare(self, "robot", "twin", "file in config/robots, without .yaml")
        task = declare(self, "task", "transfer_cube", "what the world holds and rewards")
        variation = declare(
            self, "variation", "", "of the task's worlds: places and looks, with commas between"
        )
        seed = declare(self, "seed", 0, "where the objects lie at first", (0, 2**32 - 1))
        hands = declare(self, "operator", True, "whether a scripted operator moves the leaders")
        speed = declare(self, "speed", 1.0, "model time per wall time to aim for", (0.01, 100.0))
        patient = declare(
            self, "wait_for_users", True, "model time waits for polled ports and cameras"
        )
        self._task = task
        self._simulation = Simulation(
            load_robot(robot),
            task,
            seed,
            hands=hands,
            speed=speed,
            wait_for_users=patient,
            variation=variation,
        )
        self._jobs = Jobs("", (NotReadyError, FaultError))
        self._clock_publisher = self.create_publisher(Clock, "/clock", CLOCK)
        self._task_publisher = self.create_publisher(TaskState, "/task/state", 5)
        self.create_subscription(TeleopState, "/teleop/state", self._on_teleop, STATE)
        self.create_service(ResetTask, "/twin/reset", self._on_reset)
        self.create_service(Trigger, "/twin/perform", self._on_perform)
        self.create_service(InjectFault, "/twin/inject_fault", self._on_fault)
        self._next_clock_ns = self._next_state_ns = 0
        self._said: TaskState | None = None
        self._diagnostics = NodeDiagnostics(self, "world", self._diagnose)
        self._leave = threading.Event()
        self._thread = self.start_thread(self._live, "world")
        folder = os.environ.get("ALOHA_PORTS", "")
        varied = self._simulation.world.variation.text
        name = f"'{task}'" + (f" ({varied})" if varied else "")
        self.get_logger().info(f"the world of {name}, seed {seed}, is up, its ports in {folder}")

    def _live(self) -> None:
        """The life of the one thread that may touch the simulation."""
        try:
            while not self._leave.is_set():
                if self._simulation.spin_once():
                    self._publish()
                self._jobs.serve()
        finally:
            self._jobs.close("the world has ended")

    def _publish(self) -> None:
        now_ns = self._simulation.world.time_ns
        if now_ns >= self._next_clock_ns:
            self._next_clock_ns += CLOCK_NS
            message = Clock()
            set_stamp(message.clock, now_ns)
            self._clock_publisher.publish(message)
        if now_ns >= self._next_state_ns:
            self._next_state_ns += TASK_STATE_NS
            self._tell_task(now_ns)

    def _tell_task(self, now_ns: int) -> None:
        self._said = self._task_state(now_ns)
        self._task_publisher.publish(self._said)

    def _task_state(self, now_ns: int) -> TaskState:
        simulation = self._simulation
        message = TaskState(
            task=self._task,
            seed=simulation.world.seed,
            episode=simulation.episode,
            reward=simulation.world.reward(),
            best_reward=simulation.best_reward,
            max_reward=simulation.world.max_reward,
            elapsed=simulation.elapsed_s,
            operator_state=simulation.operator_state,
            real_time_factor=simulation.pacer.real_time_factor(),
        )
        set_stamp(message.header.stamp, now_ns)
        return message

    def _diagnose(self) -> Findings:
        return STARTING if self._said is None else of_task(self._said)

    def _on_teleop(self, message: TeleopState) -> None:
        self._simulation.engaged = message.state == TeleopState.ENGAGED

    def _on_reset(
        self, request: ResetTask.Request, response: ResetTask.Response
    ) -> ResetTask.Response:
        if not 0 <= request.seed < 2**32:
            response.message = f"seed must lie in 0 … {2**32 - 1}, got {request.seed}"
            return response

        def place() -> str:
            self._simulation.reset(request.seed)
            # At once: the recorder takes the seed of the next episode from it.
            self._tell_task(self._simulation.world.time_ns)
            return f"objects placed by seed {request.seed}"

        return self._answer(response, place)

    def _on_perform(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        def perform() -> str:
            lasts_s = self._simulation.perform()
            where = f"'{self._task}' in the world of seed {self._simulation.world.seed}"
            if lasts_s is None:
                return f"the time of {where} begins; there is no operator to perform it"
            return f"the operator performs {where}: {lasts_s:.1f} s of model time"

        return self._answer(response, perform)

    def _on_fault(
        self, request: InjectFault.Request, response: InjectFault.Response
    ) -> InjectFault.Response:
        kind = request.fault
        if kind == CLEAR:
            return self._answer(response, self._clear_faults)

        def inject() -> str:
            fault = Fault(kind, request.servo, request.duration, request.strength)
            self._simulation.inject(request.arm, fault)
            return f"{request.arm}: {kind}: {FAULTS[kind]}"

        return self._answer(response, inject)

    def _clear_faults(self) -> str:
        self._simulation.clear_faults()
        return "every fault that lasts has ended"

    def _answer(self, response: Any, job: Callable[[], str]) -> Any:
        """The response after `job` was done between two steps of the world: what it says was done,
        or why it was not."""
        try:
            done = self._jobs.ask(job, WORLD_ANSWER_S)
        except (NotReadyError, FaultError, Refused) as error:
            response.message = str(error)
        else:
            response.success, response.message = True, done
        return response

    def close(self) -> None:
        """Leaves after the last port has been closed: arms park in this world."""
        self._wait_for_arms()
        self._leave.set()
        self._thread.join()
        self._simulation.close()

    def _wait_for_arms(self) -> None:
        until = time.monotonic() + LINGER_S
        quiet_since = time.monotonic()
        while self._thread.is_alive() and self.failure is None:
            now = time.monotonic()
            try:
                in_use = self._jobs.ask(lambda: self._simulation.ports_in_use, WORLD_ANSWER_S)
            except Refused:  # it has ended by itself
                return
            if in_use:
                quiet_since = now
            if now - quiet_since > QUIET_S:
                return
            if now > until:
                self.get_logger().error(f"leaving while ports are still open: {in_use}")
                return
            time.sleep(0.05)


def main() -> int:
    """The executable `twin`."""
    return run(TwinNode)


if __name__ == "__main__":
    raise SystemExit(main())
