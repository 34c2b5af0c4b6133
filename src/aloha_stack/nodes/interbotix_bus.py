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
- Nothing tells damaged answers from silence: `damaged` is always empty.
- Into current mode the driver goes by way of torque on, with a goal current of 0, and off again.
"""

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from rclpy.node import Node

from aloha_stack.dynamixel import units, words
from aloha_stack.dynamixel.arm_bus import BusState, ServoHealth
from aloha_stack.dynamixel.control_table import describe_hardware_error, table_for
from aloha_stack.dynamixel.errors import NotTaken, PortMissing, ServoSilent, WrongModel
from aloha_stack.dynamixel.latency import latency_timer_ms
from aloha_stack.dynamixel.register_check import check_registers
from aloha_stack.dynamixel.setup import Setup
from aloha_stack.dynamixel.shadows import Shadows
from aloha_stack.nodes._conversions import stamp_ns
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes.interbotix_driver import Sample, XsDriver
from aloha_stack.nodes.interbotix_registers import XsRequests, XsTogether
from aloha_stack.nodes.interbotix_values import (
    MILLIAMPERE_PER_UNIT,
    current_commands,
    failed_joints,
    goal_commands,
)
from aloha_stack.nodes.interbotix_watch import Looks
from aloha_stack.robot.description import Arm, Servo
from aloha_stack.robot.joints import ARM_JOINTS, GRIPPER, JOINTS

PATIENCE_S = 0.05
"""How long a reading waits for the driver's next message, which is due after 0.01 s; after one that
did not come, the next does not wait."""
MAX_AGE_S = 0.1
"""By its stamp; older numbers are none."""
CLOCKS_APART_S = 1.0
REBOOT_LIMIT_S = 5.0
ANGLE_MODES = ("position", "ext_position", "current_based_position")
"""The driver's modes in which a command is an angle."""
EVERYTHING, ARM_GROUP = "all", "arm"
"""Groups of the driver: it makes the first itself, the second is in all its arm files."""


class InterbotixBus:
    """`ArmBus` over xs_sdk. For one thread; `node` has to be spun by another.

    Raises PackageMissing if interbotix_xs_msgs is not installed, RobotConfigError for registers
    that cannot be.
    """

    def __init__(self, arm: Arm, node: Node, patience_s: float = PATIENCE_S) -> None:
        check_registers(arm)
        self._arm, self._node, self._patience_s = arm, node, patience_s
        self._driver = XsDriver(node, _namespace(arm, node), arm.name)
        self._looks = Looks(self._driver, arm)
        self._requests = XsRequests(arm, self._driver, self._looks)
        self._together = XsTogether(arm, self._driver, self._looks, self._requests)
        requests: Any = self._requests
        together: Any = self._together
        self._setup = Setup(arm, requests, together)
        pairs: Any = _Pairs(arm, self._together)
        self._shadows = Shadows(arm, requests, pairs)
        addressed = arm.addressed
        self._ids = tuple(servo.id for servo in addressed)
        self._nm_per_ma = (
            np.array([units.NM_PER_UNIT[servo.model] for servo in addressed]) / MILLIAMPERE_PER_UNIT
        )
        self._has_current = np.array(["goal_current" in table_for(s.model) for s in addressed])
        limits = [_goal_limits(servo) for servo in addressed]
        self._lowest, self._highest = np.array(limits, dtype=np.int64).T
        self._names: tuple[str, ...] = ()
        self._order = np.zeros(len(JOINTS), dtype=np.int64)
        self._forget()

    def _forget(self) -> None:
        self._last: Sample | None = None
        self._waits = True
        self._round_trip_s = math.nan
        self._watchdog_steps = 0
        self._current_limits: np.ndarray | None = None
        self._in_current_mode = False

    @property
    def arm(self) -> Arm:
        return self._arm

    def open(self) -> None:
        self._driver.open()
        self._forget()
        self._looks.forget()
        sample = self._driver.newer(None, 0.0)
        if sample is not None and abs(age_s := self._age_s(sample)) > CLOCKS_APART_S:
            self._driver.close()
            raise PortMissing(
                f"{self._driver.where}: its joint_states are {age_s:.1f} s old by this node's "
                "clock; give both the same use_sim_time, and machines the same time (chrony)"
            )

    def close(self) -> None:
        self._looks.doubt()
        self._driver.close()

    # -- every cycle ------------------------------------------------------------------------

    @property
    def round_trip_s(self) -> float:
        return self._round_trip_s

    def read(self) -> BusState:
        began_s = time.monotonic()
        sample = self._driver.newer(self._last, self._patience_s if self._waits else 0.0)
        self._round_trip_s = time.monotonic() - began_s
        self._waits = sample is not None
        if sample is None:
            return self._nothing()
        self._last = sample
        if abs(self._age_s(sample)) > MAX_AGE_S:
            return self._nothing()
        return self._state(sample)

    def _age_s(self, sample: Sample) -> float:
        """By its own stamp and this node's clock."""
        return (self._node.get_clock().now().nanoseconds - _stamp(sample)) * 1e-9

    def _nothing(self) -> BusState:
        self._looks.counted(self._arm.addressed, False)
        unknown = np.full(len(JOINTS), np.nan)
        return BusState(unknown, unknown.copy(), unknown.copy(), self._ids, self._alert())

    def _state(self, sample: Sample) -> BusState:
        message = sample.message
        if tuple(message.name) != self._names:
            self._learn_order(message.name)
        position, velocity, milliampere = (
            np.array(values, dtype=np.float64)[self._order]
            for values in (message.position, message.velocity, message.effort)
        )
        failed = failed_joints(position, velocity, milliampere, self._arm.addressed)
        for values in (position, velocity, milliampere):
            values[failed] = np.nan
        for servo, lost, ampere, rad in zip(
            self._arm.addressed, failed, milliampere / 1000, position, strict=True
        ):
            self._looks.counted((servo,), not lost)
            self._looks.measured(servo, rad, ampere)
        missing = tuple(i for i, lost in zip(self._ids, failed, strict=True) if lost)
        effort = milliampere * self._nm_per_ma
        alert, stamp_ns = self._alert(), _stamp(sample)
        return BusState(position, velocity, effort, missing, alert, stamp_ns=stamp_ns)

    def _learn_order(self, names: Iterable[str]) -> None:
        found = list(names)
        if absent := [joint for joint in JOINTS if joint not in found]:
            raise WrongModel(
                f"{self._driver.where}: its joint_states tell of {', '.join(found)}, not of "
                f"{', '.join(absent)}; start xs_sdk with the motor_configs of this arm's model "
                f"({self._arm.model})",
                tuple(s.id for s in self._arm.addressed if s.joint in absent),
            )
        self._order = np.array([found.index(joint) for joint in JOINTS])
        self._names = tuple(found)

    def _alert(self) -> tuple[int, ...]:
        return tuple(i for i in self._ids if self._looks.known[i].hardware_error)

    def watch(self) -> Mapping[int, ServoHealth]:
        if self._last is None:
            self.read()  # it tells the addressed servos' positions and currents
        return self._looks.look()

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        wanted = self._seven(position, "goal")
        ticks = np.clip(units.rad_to_ticks(wanted), self._lowest, self._highest)
        self._driver.command_group(EVERYTHING, goal_commands(ticks))
        return units.ticks_to_rad(ticks)

    def write_currents(self, current_a: np.ndarray) -> np.ndarray:
        wanted = self._seven(current_a, "current")
        self._driver.check_open()
        if not self._in_current_mode:
            raise NotTaken(
                f"{self._driver.where}: is not in current mode, and the driver would take currents "
                "for angles; call set_mode('current') first",
                self._ids,
            )
        if self._current_limits is None:
            self._current_limits = np.array(
                [
                    self.read_register(servo.id, "current_limit") if has else 0
                    for servo, has in zip(self._arm.addressed, self._has_current, strict=True)
                ]
            )
        limits = self._current_limits
        raw = np.clip(np.rint(wanted / units.AMPERE_PER_CURRENT_UNIT), -limits, limits)
        commands = current_commands(raw)
        self._driver.command_group(ARM_GROUP, commands[: len(ARM_JOINTS)])
        if self._has_current[-1]:
            self._driver.command_single(GRIPPER, commands[-1])
        return raw * units.AMPERE_PER_CURRENT_UNIT

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
        wrong = [servo for servo in self._arm.servos if found[servo.id] != servo.model_number]
        if wrong:
            what = "; ".join(
                f"{words.call(self._arm, servo.id)} is model {found[servo.id]}, not "
                f"{servo.model_number}: {servo.model}"
                for servo in wrong
            )
            raise WrongModel(
                f"{self._driver.where}: {what}; check that the driver has this arm's port, and the "
                f"servos in config/arms/{self._arm.model}.yaml",
                tuple(servo.id for servo in wrong),
            )

    def _check_groups(self) -> None:
        """The driver must mean the same motors in the same order."""
        everything = self._driver.group_info(EVERYTHING)
        joints = self._driver.group_info(ARM_GROUP)
        told = (tuple(everything.joint_ids), tuple(joints.joint_names))
        if told != (self._ids, ARM_JOINTS):
            raise WrongModel(
                f"{self._driver.where}: drives the IDs {told[0]} and as its group '{ARM_GROUP}' "
                f"{told[1]}, not {self._ids} and {ARM_JOINTS}; start it with motor_configs of this "
                f"arm's model ({self._arm.model}), its joint_order as in Interbotix' own files",
                self._ids,
            )
        if everything.mode not in ANGLE_MODES:
            raise WrongModel(
                f"{self._driver.where}: its group '{EVERYTHING}' is in mode '{everything.mode}', "
                "in which goals are no angles; leave that group out of the driver's mode_configs",
                self._ids,
            )

    def configure(self) -> tuple[str, ...]:
        self._current_limits = None
        return (*self._setup.configure(), *self._shadows.align(self.torque()))

    def set_mode(self, mode: str) -> None:
        self._setup.set_mode(mode)
        self._in_current_mode = False
        if mode == "current":
            # The driver converts commands by the mode that it believes in; it can only be told so
            # in this way, which switches torque on. The goal currents are 0 by now.
            self._driver.set_operating_mode("group", ARM_GROUP, mode)
            if self._has_current[-1]:
                self._driver.set_operating_mode("single", GRIPPER, mode)
            self.set_torque(False)
            self._setup.set_mode(mode)
            self._in_current_mode = True

    def torque(self) -> Mapping[int, bool]:
        return {i: bool(value) for i, value in self._together.read("torque_enable").items()}

    def set_torque(self, on: bool) -> None:
        self._together.write("torque_enable", int(on))

    def set_watchdog(self, timeout_s: float) -> None:
        steps = round(timeout_s / units.WATCHDOG_UNIT_S)
        if not 0 <= steps <= 127 or (timeout_s > 0 and steps == 0):
            raise ValueError(f"{timeout_s} s is no watchdog time: 0, or 0.02 … 2.54 s")
        self._together.write("bus_watchdog", 0)
        if steps:
            self._together.write("bus_watchdog", steps)
        self._watchdog_steps = steps

    def hardware_errors(self) -> Mapping[int, tuple[str, ...]]:
        status = self._together.read("hardware_error_status")
        return {i: describe_hardware_error(value) for i, value in status.items() if value}

    def latency_timer_ms(self) -> int | None:
        return latency_timer_ms(self._arm.port)

    # -- one servo, or a few ----------------------------------------------------------------

    def read_register(self, servo_id: int, name: str) -> int:
        return self._requests.read(servo_id, name)

    def write_register(self, servo_id: int, name: str, value: int) -> None:
        self._requests.write(servo_id, name, value)

    def reboot(self, servo_id: int) -> None:
        servo = self._requests.servo(servo_id)
        self._restart((servo, *(s for s in self._arm.servos if s.shadow_of == servo_id)))

    def recover(self, ids: Iterable[int]) -> None:
        masters = {self._requests.servo(i).shadow_of or i for i in ids}
        group = [s for s in self._arm.servos if s.id in masters or s.shadow_of in masters]
        self._await(group)
        for servo in group:
            self._requests.write(servo.id, "torque_enable", 0)
        broken = [s for s in group if self._requests.read(s.id, "hardware_error_status")]
        self._restart(broken)
        for servo in group:
            self._setup.write_ram(servo)

    def _restart(self, servos: Iterable[Servo]) -> None:
        """Reboots these. The watchdogs of all are off meanwhile: the driver sleeps for longer."""
        servos = tuple(servos)
        if not servos:
            return
        if self._watchdog_steps:
            self._together.write("bus_watchdog", 0)
        for servo in servos:
            self._requests.reboot(servo.id)
        self._await(servos)
        for servo in servos:
            self._setup.write_ram(servo)
        if self._watchdog_steps:
            self._together.write("bus_watchdog", self._watchdog_steps)
        self._looks.forget()

    def _await(self, servos: Iterable[Servo]) -> None:
        """Until all of these answer."""
        deadline = time.monotonic() + REBOOT_LIMIT_S
        waiting = {servo.id for servo in servos}
        while waiting := {i for i in waiting if not self._requests.is_there(i)}:
            if time.monotonic() > deadline:
                silent = tuple(sorted(waiting))
                raise ServoSilent(words.silent(self._arm, silent), silent)

    # -- parts ------------------------------------------------------------------------------

    def _seven(self, values: np.ndarray, what: str) -> np.ndarray:
        """`values` as floats (7,); a ValueError says which joint's is not finite."""
        seven = np.asarray(values, dtype=np.float64)
        if seven.shape != (len(JOINTS),):
            raise ValueError(f"{self._arm.name}: {what}s have shape {seven.shape}, expected (7,)")
        finite = np.isfinite(seven)
        if not finite.all():
            bad = [joint for joint, good in zip(JOINTS, finite, strict=True) if not good]
            raise ValueError(f"{self._arm.name}: the {what} of {', '.join(bad)} is not a number")
        return seven


class _Pairs:
    """Reads the positions of masters and shadows, one after the other, as Shadows wants them."""

    def __init__(self, arm: Arm, together: XsTogether) -> None:
        masters = {servo.shadow_of for servo in arm.servos if servo.shadow_of is not None}
        self._servos = [s for s in arm.servos if s.id in masters or s.shadow_of is not None]
        self._together = together

    def read(self) -> dict[int, tuple[int, int, int, int]]:
        """By ID; the position is the last of four numbers."""
        positions = self._together.positions(self._servos)
        return {i: (0, 0, 0, position) for i, position in positions.items()}


def _namespace(arm: Arm, node: Node) -> str:
    name = "xs_namespace"
    if not node.has_parameter(name):
        declare(
            node,
            name,
            f"/xs_{arm.name}",
            "backend interbotix: the namespace in which xs_sdk drives this arm",
        )
    return "/" + str(node.get_parameter(name).value).strip("/")


def _stamp(sample: Sample) -> int:
    return stamp_ns(sample.message.header.stamp)


def _goal_limits(servo: Servo) -> tuple[int, int]:
    """The goals that a servo takes, ticks: in a sync write it refuses others without a word."""
    if servo.registers["operating_mode"] != 3:
        return -1_048_575, 1_048_575
    registers = servo.registers
    return registers.get("min_position_limit", 0), registers.get("max_position_limit", 4095)
