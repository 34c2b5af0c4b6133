"""Goals for the arm's servos, by way of Interbotix' driver."""

from collections.abc import Callable

import numpy as np

from aloha_stack.dynamixel import units
from aloha_stack.dynamixel.control_table import table_for
from aloha_stack.dynamixel.errors import NotTaken
from aloha_stack.nodes.interbotix_driver import ARM_GROUP, EVERYTHING, XsDriver
from aloha_stack.nodes.interbotix_values import current_commands, goal_commands
from aloha_stack.robot.description import Arm, Servo
from aloha_stack.robot.joints import ARM_JOINTS, GRIPPER, JOINTS


class Commands:
    """Goal positions and goal currents of the addressed servos.

    `current_mode` says whether the driver takes the commands of its group "arm" for currents.
    `read_register` (ID, name) asks for the current limits, once.
    """

    def __init__(
        self, arm: Arm, driver: XsDriver, read_register: Callable[[int, str], int]
    ) -> None:
        self._arm, self._driver, self._read_register = arm, driver, read_register
        addressed = arm.addressed
        self._has_current = ["goal_current" in table_for(servo.model) for servo in addressed]
        limits = [_goal_limits(servo) for servo in addressed]
        self._lowest, self._highest = np.array(limits, dtype=np.int64).T
        self.forget()

    def forget(self) -> None:
        """A new connection, or another set-up."""
        self.current_mode = False
        self._current_limits: np.ndarray | None = None

    @property
    def gripper_has_current(self) -> bool:
        """Whether the gripper's servo knows a goal current."""
        return self._has_current[-1]

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        """ArmBus.write_goals."""
        wanted = self._seven(position, "goal")
        ticks = np.clip(units.rad_to_ticks(wanted), self._lowest, self._highest)
        self._driver.command_group(EVERYTHING, goal_commands(ticks))
        return units.ticks_to_rad(ticks)

    def write_currents(self, current_a: np.ndarray) -> np.ndarray:
        """ArmBus.write_currents; NotTaken where the driver would take them for angles."""
        wanted = self._seven(current_a, "current")
        self._driver.check_open()
        if not self.current_mode:
            raise NotTaken(
                f"{self._driver.where}: is not in current mode, and the driver would take currents "
                "for angles; call set_mode('current') first",
                tuple(servo.id for servo in self._arm.addressed),
            )
        if self._current_limits is None:
            self._current_limits = np.array(
                [
                    self._read_register(servo.id, "current_limit") if has else 0
                    for servo, has in zip(self._arm.addressed, self._has_current, strict=True)
                ]
            )
        limits = self._current_limits
        raw = np.clip(np.rint(wanted / units.AMPERE_PER_CURRENT_UNIT), -limits, limits)
        commands = current_commands(raw)
        self._driver.command_group(ARM_GROUP, commands[: len(ARM_JOINTS)])
        if self.gripper_has_current:
            self._driver.command_single(GRIPPER, commands[-1])
        return raw * units.AMPERE_PER_CURRENT_UNIT

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


def _goal_limits(servo: Servo) -> tuple[int, int]:
    """The goals that a servo takes, ticks: in a sync write it refuses others without a word."""
    if servo.registers["operating_mode"] != 3:
        return -1_048_575, 1_048_575
    registers = servo.registers
    return registers.get("min_position_limit", 0), registers.get("max_position_limit", 4095)
