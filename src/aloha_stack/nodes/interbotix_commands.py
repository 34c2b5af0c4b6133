"""Goals for the arm's servos, by way of Interbotix' driver."""

from collections.abc import Callable

import numpy as np

from aloha_stack.dynamixel import units
from aloha_stack.dynamixel.errors import NotTaken
from aloha_stack.dynamixel.goals import Goals
from aloha_stack.nodes.interbotix_driver import ARM_GROUP, EVERYTHING, XsDriver
from aloha_stack.nodes.interbotix_values import current_commands, goal_commands
from aloha_stack.robot.description import Arm
from aloha_stack.robot.joints import ARM_JOINTS, GRIPPER, JOINTS


class Commands:
    """Goal positions and goal currents of the addressed servos.

    `current_mode` says whether the driver takes the commands of its group "arm" for currents.
    `read_register` (ID, name) asks for the current limits, once.
    """

    def __init__(
        self, arm: Arm, driver: XsDriver, read_register: Callable[[int, str], int]
    ) -> None:
        self._arm, self._driver = arm, driver
        self._goals = Goals(arm, read_register)
        self.forget()

    def forget(self) -> None:
        """A new connection, or another set-up."""
        self.current_mode = False
        self._goals.forget()

    @property
    def gripper_has_current(self) -> bool:
        """Whether the gripper's servo knows a goal current."""
        return JOINTS.index(GRIPPER) in self._goals.with_current

    def write_goals(self, position: np.ndarray) -> np.ndarray:
        """ArmBus.write_goals."""
        ticks = np.array(self._goals.ticks(position))
        self._driver.command_group(EVERYTHING, goal_commands(ticks))
        return units.ticks_to_rad(ticks)

    def write_currents(self, current_a: np.ndarray) -> np.ndarray:
        """ArmBus.write_currents; NotTaken where the driver would take them for angles."""
        raw = np.array(self._goals.currents(current_a))
        self._driver.check_open()
        if not self.current_mode:
            raise NotTaken(
                f"{self._driver.where}: is not in current mode, and the driver would take currents "
                "for angles; call set_mode('current') first",
                tuple(servo.id for servo in self._arm.addressed),
            )
        commands = current_commands(raw)
        self._driver.command_group(ARM_GROUP, commands[: len(ARM_JOINTS)])
        if self.gripper_has_current:
            self._driver.command_single(GRIPPER, commands[-1])
        return raw * units.AMPERE_PER_CURRENT_UNIT
