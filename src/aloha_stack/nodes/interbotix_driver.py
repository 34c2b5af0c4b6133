"""Interbotix' driver, xs_sdk, seen from another node: its topics and services, with time-outs.

Nothing here spins. The node that was given must be spun elsewhere, by another thread than the one
that calls: whoever waits for the driver waits for an event that the other thread sets.
"""

import importlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import JointState

from aloha_stack.dynamixel.errors import PortBusy, PortClosed, PortLost, PortMissing
from aloha_stack.nodes._conversions import stamp_ns

PACKAGE = "interbotix_xs_msgs"
SERVICES: Mapping[str, str] = {
    "get_robot_info": "RobotInfo",
    "get_motor_registers": "RegisterValues",
    "set_motor_registers": "RegisterValues",
    "set_operating_modes": "OperatingModes",
    "torque_enable": "TorqueEnable",
    "reboot_motors": "Reboot",
}
STATES = "joint_states"
GROUP_COMMANDS, SINGLE_COMMANDS = "commands/joint_group", "commands/joint_single"
EVERYTHING, ARM_GROUP = "all", "arm"
"""Groups of motors: the driver makes the first itself, the second is in all its arm files."""
NEWEST = QoSProfile(depth=1)

OPEN_LIMIT_S = 2.0
"""How long open() waits for a driver: discovery takes some tenths of a second."""
BUSY_S = 0.5
"""How long the graph may still show a commander that has just gone."""
ANSWER_LIMIT_S = 2.0
"""A service of the driver answers within milliseconds, or waits behind failing reads of a bus."""
REBOOT_LIMIT_S = 5.0
"""xs_sdk sleeps for a second after each reboot, and does nothing else meanwhile."""
GONE_S, LOST_S = 0.5, 3.0
"""Silence after which a driver is lost: sooner if the graph shows no such topic any more."""


class PackageMissing(ValueError):
    """interbotix_xs_msgs is not installed; the message says how to get it."""


class Sample(NamedTuple):
    """A message of joint states, when it came (steady time), and its place in the stream."""

    message: JointState
    came_s: float
    number: int


def load_messages() -> tuple[Any, Any]:
    """The modules msg and srv of interbotix_xs_msgs; PackageMissing if there is none."""
    try:
        return (
            importlib.import_module(f"{PACKAGE}.msg"),
            importlib.import_module(f"{PACKAGE}.srv"),
        )
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(PACKAGE):
            raise
        raise PackageMissing(
            f"the backend 'interbotix' needs the ROS 2 package {PACKAGE}, which is not installed: "
            "build interbotix_ros_core (Interbotix' installer xsarm_amd64_install.sh does so, into "
            "~/interbotix_ws), source that workspace and start again; or use the backend "
            "'dynamixel', which needs no driver"
        ) from error


class XsDriver:
    """The xs_sdk in a namespace. `owner` names the arm in errors."""

    def __init__(self, node: Node, namespace: str, owner: str) -> None:
        self._msg, self._srv = load_messages()
        self._node, self._namespace, self._owner = node, namespace.rstrip("/"), owner
        self._group = ReentrantCallbackGroup()  # an answer never waits behind the one who asked
        self._arrived = threading.Condition()
        self._clients: dict[str, Any] = {}
        self._publishers: dict[str, Any] = {}
        self._subscription: Any = None
        self._reset()

    def _reset(self) -> None:
        self._sample: Sample | None = None
        self._lost = ""
        self._heard_s = time.monotonic()

    @property
    def where(self) -> str:
        return f"{self._owner} (xs_sdk at {self._namespace})"

    def topic(self, name: str) -> str:
        return f"{self._namespace}/{name}"

    # -- open and close ---------------------------------------------------------------------

    def open(self) -> None:
        """Finds the driver: PortMissing names what did not come, PortBusy who commands it."""
        if self._clients:
            return
        self._refuse_another_commander()
        self._reset()
        node, group = self._node, self._group
        commands = {
            GROUP_COMMANDS: self._msg.JointGroupCommand,
            SINGLE_COMMANDS: self._msg.JointSingleCommand,
        }
        self._publishers = {
            name: node.create_publisher(kind, self.topic(name), 10)
            for name, kind in commands.items()
        }
        heed: Any = self._on_states  # rclpy's annotation knows callbacks of one argument only
        self._subscription = node.create_subscription(
            JointState, self.topic(STATES), heed, NEWEST, callback_group=group
        )
        self._clients = {
            name: node.create_client(
                getattr(self._srv, kind), self.topic(name), callback_group=group
            )
            for name, kind in SERVICES.items()
        }
        deadline = time.monotonic() + OPEN_LIMIT_S
        while absent := self._absent():
            if time.monotonic() > deadline:
                self.close()
                raise PortMissing(
                    f"{self.where}: no driver answers: waited {OPEN_LIMIT_S:g} s for "
                    f"{', '.join(absent)}; start Interbotix' xs_sdk for this arm with "
                    f"robot_name:={self._namespace.lstrip('/')} in the same ROS_DOMAIN_ID"
                )
            with self._arrived:
                self._arrived.wait(0.02)

    def _absent(self) -> list[str]:
        """What of the driver is not there yet, topics and services by full name."""
        missing = [name for name, client in self._clients.items() if not client.service_is_ready()]
        missing += [
            name for name in self._publishers if self._node.count_subscribers(self.topic(name)) == 0
        ]
        return [self.topic(name) for name in missing + [STATES] * (self._sample is None)]

    def _refuse_another_commander(self) -> None:
        deadline = time.monotonic() + BUSY_S
        while others := self._commanders():
            if time.monotonic() > deadline:
                raise PortBusy(
                    f"{self.where}: is in use: {', '.join(others)} may command it; end that first: "
                    "the arm obeys whoever speaks last"
                )
            time.sleep(0.02)

    def _commanders(self) -> list[str]:
        topics = (self.topic(name) for name in (GROUP_COMMANDS, SINGLE_COMMANDS))
        infos = [i for topic in topics for i in self._node.get_publishers_info_by_topic(topic)]
        return sorted({f"{i.node_namespace.rstrip('/')}/{i.node_name}" for i in infos})

    def close(self) -> None:
        """Leaves the driver to others. May be called twice."""
        for client in self._clients.values():
            self._node.destroy_client(client)
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._clients, self._publishers, self._subscription = {}, {}, None

    def check_open(self) -> None:
        """PortClosed or PortLost, unless the driver is there as far as is known."""
        if not self._clients:
            raise PortClosed(f"{self.where}: is not open; call open() first")
        if self._lost:
            raise PortLost(f"{self.where}: {self._lost}")

    # -- joint states -----------------------------------------------------------------------

    def _on_states(self, message: JointState, info: Mapping[str, Any]) -> None:
        number = int(info.get("publication_sequence_number") or 0)
        with self._arrived:
            if self._sample is not None and 0 < number < self._sample.number:
                self._lost = (
                    "the driver was started anew, and made torque and modes what it makes them "
                    "then; open it again"
                )
            self._heard_s = time.monotonic()
            self._sample = Sample(message, self._heard_s, number)
            self._arrived.notify_all()

    def newer(self, than: Sample | None, patience_s: float) -> Sample | None:
        """The newest message with another stamp than that of `than`, waited for; None if none came.

        PortLost once the driver is known to be gone.
        """
        self.check_open()
        deadline = time.monotonic() + patience_s
        with self._arrived:
            while not self._is_newer(than):
                left = deadline - time.monotonic()
                if left <= 0 or not self._arrived.wait(left):
                    break
            sample = self._sample if self._is_newer(than) else None
        if sample is None:
            self._give_up_on_silence()
        self.check_open()
        return sample

    def _is_newer(self, than: Sample | None) -> bool:
        if self._sample is None or than is None:
            return self._sample is not None
        return stamp_ns(self._sample.message.header.stamp) != stamp_ns(than.message.header.stamp)

    def _give_up_on_silence(self) -> None:
        silent_s = time.monotonic() - self._heard_s
        if silent_s < GONE_S:
            return
        gone = self._node.count_publishers(self.topic(STATES)) == 0
        if gone or silent_s > LOST_S:
            self._lost = (
                f"the driver is gone: nothing on {self.topic(STATES)} for {silent_s:.1f} s; the "
                "arm holds its last goal, or is limp if the servos lost their power; see to xs_sdk"
            )

    # -- commands ---------------------------------------------------------------------------

    def command_group(self, group: str, commands: np.ndarray) -> None:
        """Sent, not confirmed: the driver writes it when it comes to it."""
        self.check_open()
        message = self._msg.JointGroupCommand(name=group, cmd=commands.tolist())
        self._publishers[GROUP_COMMANDS].publish(message)

    def command_single(self, motor: str, command: float) -> None:
        """As command_group, for one motor."""
        self.check_open()
        message = self._msg.JointSingleCommand(name=motor, cmd=float(command))
        self._publishers[SINGLE_COMMANDS].publish(message)

    # -- services ---------------------------------------------------------------------------

    def ask(self, service: str, **request: Any) -> tuple[Future, Any]:
        """Calls a service; its future, and the client to forget it with."""
        self.check_open()
        client = self._clients[service]
        return client.call_async(client.srv_type.Request(**request)), client

    def call(self, service: str, limit_s: float = ANSWER_LIMIT_S, **request: Any) -> Any:
        """The answer of a service; PortLost if the driver does not give one in time.

        xs_sdk answers even where it failed: what it did must be read back.
        """
        future, client = self.ask(service, **request)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(limit_s):
            client.remove_pending_request(future)
            raise PortLost(
                f"{self.where}: {self.topic(service)} gave no answer in {limit_s:.0f} s; the "
                "driver hangs or has died; look at its log"
            )
        self._heard_s = time.monotonic()  # while it served us it could not publish
        return future.result()

    def get_registers(self, cmd_type: str, name: str, register: str) -> Sequence[int]:
        """Values of a register, of a "single" motor or of the motors of a "group" in their order.

        The driver stops at the first that is silent: there may be fewer than there are motors.
        """
        answer = self.call("get_motor_registers", cmd_type=cmd_type, name=name, reg=register)
        return list(answer.values)

    def set_registers(self, cmd_type: str, name: str, register: str, value: int) -> None:
        """Writes a register of one motor or of a group's; to be read back."""
        self.call("set_motor_registers", cmd_type=cmd_type, name=name, reg=register, value=value)

    def enable_torque(self, cmd_type: str, name: str, on: bool) -> None:
        """Torque of one motor or of a group, one after the other; to be read back."""
        self.call("torque_enable", cmd_type=cmd_type, name=name, enable=on)

    def reboot(self, motor: str) -> None:
        """Restarts one motor and leaves it limp; the driver is deaf for a second meanwhile."""
        self.call("reboot_motors", REBOOT_LIMIT_S, cmd_type="single", name=motor, enable=False)

    def set_operating_mode(self, cmd_type: str, name: str, mode: str) -> None:
        """Changes mode, and the driver's own idea of it. Switches torque off, and then ON."""
        request: dict[str, Any] = {"cmd_type": cmd_type, "name": name, "mode": mode}
        request["profile_type"] = "velocity"
        self.call("set_operating_modes", **request)

    def group_info(self, group: str) -> Any:
        """RobotInfo of a group. (Never ask for a shadow: xs_sdk dies of it.)"""
        return self.call("get_robot_info", cmd_type="group", name=group)
