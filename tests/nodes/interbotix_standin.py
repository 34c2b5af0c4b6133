"""A stand-in for Interbotix' xs_sdk: a node with its names, its arithmetic and its bad habits.

It drives virtual servos on a pseudo-terminal through dynamixel_sdk, one thing at a time, in one
thread, as xs_sdk does. Facts from Interbotix' interbotix_ros_core and interbotix_xs_driver and
their dynamixel-workbench.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, Protocol2PacketHandler
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from aloha_stack.dynamixel.control_table import Register, table_for
from aloha_stack.dynamixel.port import PollingPort
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import ARM_JOINTS, JOINTS, STATE_JOINTS

PI = np.float32(3.14159265)
MODES = {"current": 0, "velocity": 1, "position": 3, "current_based_position": 5, "pwm": 16}
ANGLES = ("position", "ext_position", "current_based_position")


def driver_radian(ticks: int) -> float:
    """Ticks to rad, in the driver's single precision."""
    return float(np.float32(int(ticks) - 2048) * PI / np.float32(2048))


def driver_ticks(radian: float) -> int:
    """rad to ticks: what is behind the point is dropped."""
    return int(np.float32(radian) * np.float32(2048) / PI + np.float32(2048))


def driver_current(milliampere: float) -> int:
    """mA to units of the register: what is behind the point is dropped."""
    return int(np.float32(milliampere) / np.float32(2.69))


class PatientPort(PollingPort):
    """A port on which servos may be late: the machine that runs the tests may have much to do."""

    late_ms = 250.0

    def setPacketTimeout(self, packet_length: int) -> None:
        super().setPacketTimeout(packet_length)
        self.packet_timeout += self.late_ms


class XsSdk:
    """xs_sdk for one arm. `nan_on_failure` is its read_failure_behavior 1; tests may also set
    `deaf` (no service answers), `mute` (no joint states), `age_s` of the stamps, and `names`."""

    def __init__(self, arm: Arm, namespace: str, reboot_s: float = 0.1) -> None:
        from interbotix_xs_msgs import msg, srv

        self.arm, self.reboot_s = arm, reboot_s
        self.nan_on_failure = self.deaf = self.mute = False
        self.age_s = 0.0
        self.names: Sequence[str] = STATE_JOINTS
        self.ids = {
            s.joint if s.shadow_of is None else f"{s.joint}_shadow": s.id for s in arm.servos
        }
        self.tables = {s.id: table_for(s.model) for s in arm.servos}
        self.groups = {"all": list(JOINTS), "arm": list(ARM_JOINTS)}
        self.group_modes = {"all": "position", "arm": "position"}
        self.motor_modes = dict.fromkeys(self.ids, "position")
        self.port = PatientPort(arm.port, arm.baud, "xs_sdk")
        self.port.openPort()
        self.talking = threading.Lock()  # else the SDK drops what a second thread asks meanwhile
        self.sdk = Protocol2PacketHandler()
        for motor in self.ids:  # as it does after having pinged them
            self._write(motor, "Torque_Enable", 0)
        self.node = Node("xs_sdk", namespace=namespace, use_global_arguments=False)
        self.states = self.node.create_publisher(JointState, "joint_states", 10)
        node = self.node
        node.create_subscription(msg.JointGroupCommand, "commands/joint_group", self._on_group, 10)
        node.create_subscription(
            msg.JointSingleCommand, "commands/joint_single", self._on_single, 10
        )
        for name, kind, serve in (
            ("torque_enable", srv.TorqueEnable, self._torque),
            ("reboot_motors", srv.Reboot, self._reboot),
            ("get_robot_info", srv.RobotInfo, self._info),
            ("set_operating_modes", srv.OperatingModes, self._modes),
            ("set_motor_registers", srv.RegisterValues, self._set),
            ("get_motor_registers", srv.RegisterValues, self._get),
        ):
            node.create_service(kind, name, self._served(serve))
        node.create_timer(0.01, self._publish)
        self.stopping = threading.Event()
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(node)
        self.thread = threading.Thread(target=self._spin, name="xs_sdk")
        self.thread.start()

    def _spin(self) -> None:
        # Not spin(): a shutdown() by another thread may end it in the midst of a callback's start.
        with contextlib.suppress(ExternalShutdownException):
            while not self.stopping.is_set():
                self.executor.spin_once(timeout_sec=0.05)

    def die(self) -> None:
        """Ends the driver as it is. May be called twice."""
        if self.thread.is_alive():
            self.stopping.set()
            self.thread.join()
            self.executor.shutdown()
            self.node.destroy_node()
            self.port.closePort()

    # -- registers --------------------------------------------------------------------------

    def _register(self, servo_id: int, name: str) -> Register | None:
        known = {"Protocol_Version": "protocol_type"}.get(name, name.lower())
        words = {"Id": "ID", "Pwm": "PWM", "Led": "LED"}
        spelled = "_".join(words.get(w, w) for w in known.title().split("_"))
        for ordinal in ("1St", "2Nd"):
            spelled = spelled.replace(ordinal, ordinal.lower())
        good = name in (spelled, "Protocol_Version")
        return self.tables[servo_id].get(known) if good else None

    def _write(self, motor: str, name: str, value: int) -> None:
        servo_id = self.ids[motor]
        register = self._register(servo_id, name)
        if register is None:
            return
        data = list((value & (1 << 8 * register.size) - 1).to_bytes(register.size, "little"))
        with self.talking:
            self.sdk.writeTxRx(self.port, servo_id, register.address, register.size, data)

    def _read(self, motor: str, name: str) -> int | None:
        servo_id = self.ids[motor]
        register = self._register(servo_id, name)
        if register is None:
            return None
        with self.talking:
            data, result, error = self.sdk.readTxRx(
                self.port, servo_id, register.address, register.size
            )
        if result != COMM_SUCCESS or error & 0x7F:
            return None
        return int.from_bytes(bytes(data), "little", signed=register.size > 1)

    # -- joint states -----------------------------------------------------------------------

    def _publish(self) -> None:
        if self.mute:
            return
        ids = [self.ids[joint] for joint in JOINTS]
        group = GroupSyncRead(self.port, self.sdk, 126, 10)
        for servo_id in ids:
            group.addParam(servo_id)
        with self.talking:
            failed = group.txRxPacket() != COMM_SUCCESS  # then getData is 0 for all
        windows = ((126, 2), (128, 4), (132, 4))
        raw = np.array([[group.getData(i, *window) for window in windows] for i in ids])
        current, velocity, ticks = raw.astype(np.uint32).view(np.int32).T
        position = [driver_radian(tick) for tick in ticks]
        finger = 0.03 + 0.01 * position[-1]
        stamp = self.node.get_clock().now().nanoseconds - round(self.age_s * 1e9)
        message = JointState(name=list(self.names))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        rpm = np.float32(0.229) * np.float32(0.104719755)
        message.position = [*position, finger, -finger]
        message.velocity = [*(velocity * rpm).tolist(), 0.0, 0.0]
        message.effort = [*(current.astype(np.int16) * np.float32(2.69)).tolist(), 0.0, 0.0]
        if failed and self.nan_on_failure:
            nothing = [np.nan] * len(JOINTS)
            message.position = [*nothing, np.nan, np.nan]
            message.velocity = message.effort = [*nothing, 0.0, 0.0]
        self.states.publish(message)

    # -- commands ---------------------------------------------------------------------------

    def _on_group(self, message: Any) -> None:
        motors, mode = self.groups[message.name], self.group_modes[message.name]
        if len(message.cmd) != len(motors):
            return
        if mode in ANGLES:
            address, size, values = 116, 4, [driver_ticks(cmd) for cmd in message.cmd]
        elif mode == "current":
            address, size = 102, 2
            values = [driver_current(cmd) for cmd in message.cmd]
        else:
            return
        data = []
        for motor, value in zip(motors, values, strict=True):
            data += [self.ids[motor], *(value & (1 << 8 * size) - 1).to_bytes(size, "little")]
        self.sdk.syncWriteTxOnly(self.port, address, size, data, len(data))

    def _on_single(self, message: Any) -> None:
        mode = self.motor_modes[message.name]
        if mode in ANGLES:
            self._write(message.name, "Goal_Position", driver_ticks(message.cmd))
        elif mode == "current":
            value = driver_current(message.cmd)
            self._write(message.name, "Goal_Current", value)

    # -- services ---------------------------------------------------------------------------

    def _served(self, serve: Any) -> Any:
        def answer(request: Any, response: Any) -> Any:
            while self.deaf and not self.stopping.is_set():
                time.sleep(0.01)
            motors = list(self._motors(request))
            if motors:
                serve(request, response, motors)
            return response

        return answer

    def _motors(self, request: Any) -> Iterator[str]:
        if request.cmd_type == "group":
            yield from self.groups.get(request.name, ())
        elif request.cmd_type == "single" and request.name in self.ids:
            yield request.name

    def _torque(self, request: Any, _: Any, motors: list[str]) -> None:
        for motor in motors:
            self._write(motor, "Torque_Enable", int(request.enable))

    def _reboot(self, request: Any, _: Any, motors: list[str]) -> None:
        for motor in motors:
            if request.smart_reboot and self._read(motor, "Hardware_Error_Status") == 0:
                continue
            self.sdk.reboot(self.port, self.ids[motor])
            time.sleep(self.reboot_s)
            if request.enable:
                self._write(motor, "Torque_Enable", 1)

    def _info(self, request: Any, response: Any, motors: list[str]) -> None:
        assert request.cmd_type == "group" or "shadow" not in request.name, "xs_sdk dies of this"
        response.joint_names = ["left_finger" if m == "gripper" else m for m in motors]
        response.joint_ids = [self.ids[motor] for motor in motors]
        modes = self.group_modes if request.cmd_type == "group" else self.motor_modes
        response.mode = modes[request.name]
        response.num_joints = len(motors)

    def _modes(self, request: Any, _: Any, motors: list[str]) -> None:
        for motor in motors:
            self._write(motor, "Torque_Enable", 0)
            for each in (motor, f"{motor}_shadow"):
                if each in self.ids:
                    self._write(each, "Operating_Mode", MODES[request.mode])
                    if request.mode in ANGLES:
                        self._write(each, "Profile_Velocity", request.profile_velocity)
                        self._write(each, "Profile_Acceleration", request.profile_acceleration)
            self._write(motor, "Torque_Enable", 1)
            self.motor_modes[motor] = request.mode
        if request.cmd_type == "group":
            self.group_modes[request.name] = request.mode

    def _set(self, request: Any, _: Any, motors: list[str]) -> None:
        for motor in motors:
            self._write(motor, request.reg, request.value)

    def _get(self, request: Any, response: Any, motors: list[str]) -> None:
        """Stops at the first that is silent; gives single bytes without a sign."""
        for motor in motors:
            if (value := self._read(motor, request.reg)) is None:
                return
            response.values.append(value)
