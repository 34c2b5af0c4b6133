"""An arm behind Interbotix' driver, xs_sdk, instead of a serial port of our own.

The driver owns the port; this backend talks to it by its topics and services, and so it needs the
ROS 2 package interbotix_xs_msgs. It runs in the namespace of the parameter `xs_namespace`,
/xs_ARM if that is not given: start the driver with robot_name:=xs_follower_left for the arm
follower_left. (Its joint_states must not be ours: those are /follower_left/joint_states.)

What the driver cannot do, and what is done instead:

- A reading is the newest joint_states that the driver made by itself (100 a second), with its own
  stamp: waited for if the last one is known already, never given twice, missing if too old.
- One silent servo costs the readings of all: the driver publishes -pi, or NaN, for every joint.
  Such numbers are recognised, all joints are missing then; watch() names the one that is silent.
- Alert bits never leave the driver: errors, torque and the rest are asked for in the background
  (interbotix_watch), an error is known within half a second instead of the next cycle.
- Goals are sent, not written: they are what the driver will write when it comes to it. It writes
  all seven in one packet, for they go to its group "all", which takes angles in every mode.
- Torque and watchdog reach the servos one after the other, within some milliseconds.
- The Bus Watchdog watches the driver, not this process: the driver's own readings feed it. A bridge
  that dies leaves the arm at its last goal.
- While a servo restarts the driver sleeps for a second: nothing is read, written or watched then.
- Opening keeps out whoever already publishes commands, but nobody afterwards.
- Nothing tells damaged answers from silence: `damaged` is always empty, or False.
- Into current mode the driver goes by way of torque on, with a goal current of 0, and off again.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from rclpy.node import Node

from aloha_stack.dynamixel import units, words
from aloha_stack.dynamixel.arm_bus import BusState, ServoHealth
from aloha_stack.dynamixel.control_table import describe_hardware_error
from aloha_stack.dynamixel.errors import PortMissing, ServoError, ServoSilent, WrongModel
from aloha_stack.dynamixel.latency import latency_timer_ms
from aloha_stack.dynamixel.register_check import check_registers
from aloha_stack.dynamixel.restart import Restart
from aloha_stack.dynamixel.setup import Setup, set_watchdogs
from aloha_stack.dynamixel.shadows import Shadows
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes.interbotix_commands import Commands
from aloha_stack.nodes.interbotix_driver import ARM_GROUP, EVERYTHING, XsDriver
from aloha_stack.nodes.interbotix_readings import Readings
from aloha_stack.nodes.interbotix_registers import XsPairs, XsRequests, XsTogether
from aloha_stack.nodes.interbotix_watch import Looks
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import ARM_JOINTS, GRIPPER

PATIENCE_S = 0.05
"""How long a reading waits for the driver's next message, which is due after 0.01 s."""
ANGLE_MODES = ("position", "ext_position", "current_based_position")
"""The driver's modes in which a command is an angle."""


class InterbotixBus:
    """`ArmBus` over xs_sdk. For one thread; `node` has to be spun by another.

    Raises PackageMissing if interbotix_xs_msgs is not installed, RobotConfigError for registers
    that cannot be.
    """

    def __init__(self, arm: Arm, node: Node, patience_s: float = PATIENCE_S) -> None:
        check_registers(arm)
        self._arm = arm
        self._driver = XsDriver(node, _namespace(arm, node), arm.name)
        self._looks = Looks(self._driver, arm)
        self._readings = Readings(arm, node, self._driver, self._looks, patience_s)
        self._requests = XsRequests(arm, self._driver, self._looks)
        self._together = XsTogether(arm, self._driver, self._looks, self._requests)
        self._commands = Commands(arm, self._driver, self._requests.read)
        self._setup = Setup(arm, self._requests, self._together)
        self._shadows = Shadows(arm, self._requests, self._together, XsPairs(arm, self._together))
        self._restart = Restart(
            arm, self._requests, self._setup, self._looks.forget, during=self._no_watchdog
        )
        self._watchdog_steps = 0

    @property
    def arm(self) -> Arm:
        return self._arm

    def open(self) -> None:
        self._driver.open()
        for part in (self._looks, self._readings, self._commands):
            part.forget()
        self._watchdog_steps = 0
        try:
            self._readings.check_clock()
        except PortMissing:
            self._driver.close()
            raise

    def close(self) -> None:
        self._looks.doubt()
        self._driver.close()

    # -- every cycle ------------------------------------------------------------------------

    @property
    def round_trip_s(self) -> float:
        return self._readings.round_trip_s

    def read(self) -> BusState:
        return self._readings.read()

    def watch(self) -> Mapping[int, ServoHealth]:
        if self._readings.last is None:
            self.read()  # it tells the addressed servos' positions and currents
        return self._looks.look()

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        return self._commands.write_goals(position)

    def write_currents(self, current_a: np.ndarray) -> np.ndarray:
        return self._commands.write_currents(current_a)

    # -- all servos -------------------------------------------------------------------------

    def check(self) -> None:
        self._check_groups()
        found = {}
        silent = []
        for servo in self._arm.servos:
            try:
                found[servo.id] = self._requests.read(servo.id, "model_number")
            except ServoSilent:
                silent.append(servo.id)
        if silent:
            raise ServoSilent(words.silent(self._arm, silent), tuple(silent))
        wrong = {s.id: found[s.id] for s in self._arm.servos if found[s.id] != s.model_number}
        if wrong:
            raise WrongModel(
                f"{self._driver.where}: {words.other_models(self._arm, wrong)}; check that the "
                "driver has this arm's port, and the servos in "
                f"config/arms/{self._arm.model}.yaml",
                tuple(wrong),
            )

    def _check_groups(self) -> None:
        """The driver must mean the same motors in the same order."""
        everything = self._driver.group_info(EVERYTHING)
        joints = self._driver.group_info(ARM_GROUP)
        ids = tuple(servo.id for servo in self._arm.addressed)
        told = (tuple(everything.joint_ids), tuple(joints.joint_names))
        if told != (ids, ARM_JOINTS):
            raise WrongModel(
                f"{self._driver.where}: drives the IDs {told[0]} and as its group '{ARM_GROUP}' "
                f"{told[1]}, not {ids} and {ARM_JOINTS}; start it with motor_configs of this "
                f"arm's model ({self._arm.model}), its joint_order as in Interbotix' own files",
                ids,
            )
        if everything.mode not in ANGLE_MODES:
            raise WrongModel(
                f"{self._driver.where}: its group '{EVERYTHING}' is in mode '{everything.mode}', "
                "in which goals are no angles; leave that group out of the driver's mode_configs",
                ids,
            )

    def configure(self) -> tuple[str, ...]:
        self._commands.forget()
        self._setup.make_them_answer()
        self._shadows.check()
        return (*self._setup.configure(), *self._shadows.align(self.torque()))

    def set_mode(self, mode: str) -> None:
        self._setup.set_mode(mode)
        self._commands.forget()
        if mode == "current":
            # The driver converts commands by the mode that it believes in; it can only be told so
            # in this way, which switches torque on. The goal currents are 0 by now.
            self._driver.set_operating_mode("group", ARM_GROUP, mode)
            if self._commands.gripper_has_current:
                self._driver.set_operating_mode("single", GRIPPER, mode)
            self.set_torque(False)
            self._setup.set_mode(mode)
            self._commands.current_mode = True

    def torque(self) -> Mapping[int, bool]:
        return {i: bool(value) for i, value in self._together.read("torque_enable").items()}

    def set_torque(self, on: bool) -> None:
        self._together.write("torque_enable", int(on))

    def set_watchdog(self, timeout_s: float) -> None:
        steps = units.watchdog_steps(timeout_s)
        self._watchdog_steps = steps
        set_watchdogs(self._together, steps)

    def hardware_errors(self) -> Mapping[int, tuple[str, ...]]:
        status = self._together.known("hardware_error_status")
        return {i: describe_hardware_error(value) for i, value in status.items() if value}

    def latency_timer_ms(self) -> int | None:
        return latency_timer_ms(self._arm.port)

    # -- one servo, or a few ----------------------------------------------------------------

    def read_register(self, servo_id: int, name: str) -> int:
        return self._requests.read(servo_id, name)

    def write_register(self, servo_id: int, name: str, value: int) -> None:
        self._requests.write(servo_id, name, value)

    def reboot(self, servo_id: int) -> None:
        self._restart.reboot(servo_id)

    def recover(self, ids: Iterable[int]) -> None:
        self._restart.recover(ids)

    @contextlib.contextmanager
    def _no_watchdog(self) -> Iterator[None]:
        """For as long as the driver sleeps and the servos hear nothing; some may be dead."""
        steps = self._watchdog_steps
        if steps:
            with contextlib.suppress(ServoError):
                self._together.write("bus_watchdog", 0)
        try:
            yield
        finally:
            if steps:
                with contextlib.suppress(ServoError):
                    self._together.write("bus_watchdog", steps)


def _namespace(arm: Arm, node: Node) -> str:
    name = "xs_namespace"
    if not node.has_parameter(name):
        declare(
            node,
            "xs_namespace",
            f"/xs_{arm.name}",
            "backend interbotix: the namespace in which xs_sdk drives this arm",
        )
    namespace = "/" + str(node.get_parameter(name).value).strip("/")
    if namespace in (f"/{arm.name}", "/", node.get_namespace()):
        raise ValueError(
            f"{name} = {namespace}: there the driver's joint_states would be taken for ours; start "
            f"xs_sdk elsewhere, with robot_name:=xs_{arm.name} for one"
        )
    return namespace
