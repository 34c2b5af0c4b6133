"""A bridge in this process, virtual servos on a pseudo-terminal, and someone to talk to it."""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import rclpy
from aloha_interfaces.msg import ArmStatus, SafetyState
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.control import parking
from aloha_stack.control.arm_modes import Mode
from aloha_stack.dynamixel.units import RAD_PER_TICK, ZERO_TICKS
from aloha_stack.nodes._conversions import target_message
from aloha_stack.nodes._executor import LeanExecutor
from aloha_stack.nodes.arm_bridge import ArmBridge
from aloha_stack.robot.description import load_robot
from aloha_stack.twin.faults import Fault
from aloha_stack.twin.virtual_bench import BenchArm
from aloha_stack.twin.virtual_port import VirtualPort, serving
from nodes.domains import free_domain
from nodes.unstalled_nodes import unstalled_nodes

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def wait_for(condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
    """Until `condition` holds; an AssertionError if it does not in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def was_let_go(port: VirtualPort) -> bool:
    """Whether nobody has the port open, and all that was said to it has been heard.

    From any thread; `in_use` is for the one that serves the port.
    """
    poll = select.poll()
    poll.register(port.fileno(), select.POLLIN)
    return any(events & select.POLLHUP and not events & select.POLLIN for _, events in poll.poll(0))


def call(node: Node, service: str, kind: Any = Trigger, **request: Any) -> Any:
    """The response of a service; `node` must be spun by another thread."""
    client = node.create_client(kind, service)
    assert client.wait_for_service(10.0), f"no service {service}"
    future = client.call_async(kind.Request(**request))
    wait_for(future.done)
    return future.result()


def with_parameters(**given: Any) -> list[Parameter]:
    """Parameter overrides."""
    return [Parameter(name, value=value) for name, value in given.items()]


@contextlib.contextmanager
def spinning(*nodes: Node, executor: LeanExecutor | None = None) -> Iterator[None]:
    """Serves the nodes from a thread of its own."""
    executor = executor or LeanExecutor()
    for node in nodes:
        executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown(timeout_sec=0)
        thread.join()
        executor.release()


@contextlib.contextmanager
def ros(*, processes: bool = False) -> Iterator[None]:
    """A ROS graph of its own, on the time of this process; on the machine's if there are to be
    other `processes` in it."""
    with contextlib.nullcontext() if processes else unstalled_nodes():
        rclpy.init(domain_id=free_domain())
        try:
            yield
        finally:
            rclpy.try_shutdown()


class ModelTime(Node):
    """/clock in steps of 5 ms, `factor` times as fast as the wall; 0 stands still."""

    def __init__(self, factor: float) -> None:
        super().__init__("model_time")
        self.factor = factor
        self.now_ns = 0
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._publisher = self.create_publisher(Clock, "/clock", best_effort)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            if self.factor == 0:
                self._end.wait(0.01)
                continue
            self._end.wait(0.005 / self.factor)
            self.now_ns += 5_000_000
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(self.now_ns, 1_000_000_000)
            self._publisher.publish(message)

    def close(self) -> None:
        self._end.set()
        self._thread.join()


class Operator(Node):
    """Sends heartbeats and commands to one arm, and keeps what it publishes."""

    def __init__(self, name: str) -> None:
        super().__init__("operator")
        self.arm = load_robot("twin", {"ALOHA_PORTS": "ports"}).arm(name)
        self.beating, self.e_stopped = True, False
        self.target: Callable[[float], np.ndarray] | None = None
        self.now_ns: Callable[[], int] = time.time_ns
        self.status: list[ArmStatus] = []
        self.states: list[JointState] = []
        self.executed: list[JointState] = []
        self.create_subscription(ArmStatus, f"/{name}/status", self.status.append, LATCHED)
        self.create_subscription(JointState, f"/{name}/joint_states", self.states.append, 50)
        executed = f"/{name}/command_executed"
        self.create_subscription(JointState, executed, self.executed.append, 50)
        self.commands = self.create_publisher(JointTrajectory, f"/{name}/command", 1)
        self.heartbeat = self.create_publisher(SafetyState, "/safety/state", LATCHED)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._act)
        self._thread.start()

    @property
    def mode(self) -> Mode | None:
        return Mode(self.status[-1].mode) if self.status else None

    @property
    def reason(self) -> str:
        return self.status[-1].reason if self.status else ""

    def _act(self) -> None:
        started = time.monotonic()
        while not self._end.wait(0.02):
            if self.beating:
                cause = "test" if self.e_stopped else ""
                self.heartbeat.publish(SafetyState(e_stopped=self.e_stopped, cause=cause))
            if self.target is not None:
                target = self.target(time.monotonic() - started)
                self.commands.publish(target_message(target, self.now_ns()))

    def close(self) -> None:
        self._end.set()
        self._thread.join()


class Rig:
    """`bridge` and `servos` of one arm at their `port`, and its `operator`; unplug() takes the
    port away."""

    def __init__(
        self,
        bridge: ArmBridge,
        servos: BenchArm,
        port: VirtualPort,
        operator: Operator,
        unplug: Callable[[], None],
    ) -> None:
        self.bridge, self.servos, self.port, self.operator = bridge, servos, port, operator
        self.unplug = unplug
        self.arm = servos.arm

    def inject(self, kind: str, servo: int = 0, **given: float) -> None:
        """A fault of the servos or the line (see twin/faults.py)."""
        self.port.inject(Fault(kind, servo, **given))

    def call(self, service: str) -> str:
        """Has a service of the arm succeed; what it said."""
        response = call(self.operator, f"/{self.arm.name}/{service}")
        assert response.success, response.message
        return str(response.message)

    def goals_on_the_wire(self) -> list[np.ndarray]:
        """Every goal that the servos received, (7,) rad each."""
        ids = [servo.id for servo in self.arm.addressed]
        rows: list[dict[int, int]] = [{}]
        for _, servo_id, ticks in list(self.servos.written_goals):
            if servo_id in rows[-1]:
                rows.append({})
            rows[-1][servo_id] = ticks
        whole = [row for row in rows if len(row) == len(ids)]
        return [(np.array([row[i] for i in ids]) - ZERO_TICKS) * RAD_PER_TICK for row in whole]

    def wait_mode(self, mode: Mode, words: str = "") -> None:
        operator = self.operator
        try:
            wait_for(lambda: operator.mode == mode and words in operator.reason)
        except AssertionError as error:
            raise AssertionError(
                f"waited for {mode.name} '{words}', is {operator.mode} '{operator.reason}'"
            ) from error

    def start(self) -> None:
        assert self.bridge.transition("configure")
        assert self.bridge.transition("activate")
        self.wait_mode(Mode.BACK_DRIVEN if self.arm.is_leader else Mode.HOLDING)

    def follow(self, offset: float = 0.1) -> None:
        """Targets that swing slowly beside the rest pose."""
        rest = np.asarray(self.arm.rest_pose)
        self.operator.target = lambda t: rest + offset * (1 + 0.3 * np.sin(2 * t)) * INWARDS
        self.wait_mode(Mode.FOLLOWING)


INWARDS = np.array([1, 1, -1, 1, 1, 1, 1])
"""From the rest pose to where every joint has room."""


@contextlib.contextmanager
def rig(folder: Path, name: str = "follower_left", **parameters: Any) -> Iterator[Rig]:
    """An unconfigured bridge with servos that follow at once."""
    os.environ["ALOHA_PORTS"] = str(folder)
    servos = BenchArm(load_robot("twin").arm(name))
    port = VirtualPort(folder, f"ttyDXL_{name}", servos)
    given = {"robot": "twin", "arm": name, "autostart": False, "park_speed": 3.0}
    given |= parameters
    # A sick arm that is still there at the end of a test is not waited for as long as on a robot.
    patient = patch.object(parking, "WAIT_S", 1.0)
    with ros(), patient, contextlib.ExitStack() as plug:
        plug.enter_context(serving([port], time.monotonic))
        bridge = ArmBridge(
            namespace=name,
            parameter_overrides=with_parameters(**given),
        )
        operator = Operator(name)
        with spinning(bridge), spinning(operator):
            try:
                yield Rig(bridge, servos, port, operator, plug.close)
            finally:
                bridge.close()
                operator.close()
                bridge.time.close()
        bridge.destroy_node()
        operator.destroy_node()
