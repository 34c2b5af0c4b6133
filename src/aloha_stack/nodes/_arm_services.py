"""What an operator may ask of an arm that is connected, beside its life cycle."""

import functools
import math
from collections.abc import Iterable

from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes._arm_driver import ArmDriver
from aloha_stack.nodes._jobs import Refused

CONFIRM_S = 5.0
"""Steady time within which torque has to be asked off again where the arm would fall."""


class ArmServices:
    """Each returns what to answer, or raises Refused or a BusError; for the cycle's thread."""

    def __init__(self, driver: ArmDriver) -> None:
        self.driver = driver
        self.name = driver.arm.name
        self._asked_s = -math.inf
        """When torque was asked off last where the arm would fall, steady time."""

    def set_torque(self, on: bool, steady_s: float) -> str:
        """By the operator's wish, at steady time `steady_s`.

        On: an active follower is held where it is. Off: not while it moves; and unless it lies at
        its rest pose, or is limp already, only when asked again within CONFIRM_S, for without
        torque it falls. A leader's torque goes off the same way where it was found on.
        """
        driver, controller = self.driver, self.driver.controller
        if driver.arm.is_leader and (on or controller.active):
            raise Refused(f"{self.name} is a leader: a hand moves it, no torque holds it")
        if not driver.arm.is_leader and not controller.active:
            raise Refused(f"{self.name} is not active; activate its bridge first")
        if not on:
            return self._let_go(steady_s)
        if not controller.torque:
            driver.set_up_anew()
            driver.take_hold()
        driver.health.learn_torque(driver.bus.torque())
        if driver.health.limp:
            raise Refused(driver.health.limp_words(driver.health.limp))
        return f"{self.name} is held where it is"

    def _let_go(self, steady_s: float) -> str:
        driver, controller = self.driver, self.driver.controller
        moving = controller.mode in (Mode.RAMPING, Mode.FOLLOWING, Mode.PARKING)
        if driver.held and (moving or not controller.limiter.at_rest):
            mode = controller.mode.name.lower()
            raise Refused(f"{self.name} is {mode}: stop its commands first")
        asked_s, self._asked_s = self._asked_s, -math.inf
        confirmed = steady_s - asked_s <= CONFIRM_S or not any(driver.bus.torque().values())
        if not confirmed and (away := driver.hold.away_from_rest()):
            self._asked_s = steady_s
            raise Refused(
                f"{self.name} is not at its rest pose ({away}) and falls without torque. Park it "
                "by deactivating its bridge; or take it in your hands and call this again within "
                f"{CONFIRM_S:g} s"
            )
        driver.hold.let_go()
        controller.torque, controller.left = False, ""
        return f"{self.name} is limp"

    def reboot(self) -> str:
        """Brings back servos that are in hardware error, or have restarted; says which.

        An arm that was held is held again: what still holds goes on to hold what it was told.
        """
        driver, health, held = self.driver, self.driver.health, self.driver.held
        if driver.controller.fault:
            raise Refused(f"{self.name}: {driver.controller.fault}")
        floating = driver.floating if driver.floating and driver.floating.carried else None
        in_error = driver.bus.hardware_errors()
        sick = set(in_error)
        health.learn_torque(driver.bus.torque())
        if held:
            sick |= set(health.limp)
        if floating:
            sick |= floating.carried & set(health.limp)
        if not sick:
            return f"{self.name}: no servo is in hardware error, and none has restarted"
        if held and not driver.controller.limiter.at_rest:
            raise Refused(f"{self.name} still moves; call this again when it has stopped")
        if floating and not floating.down:
            raise Refused(f"{self.name} is carried by its servos; end that first")
        self._refuse_lasting(in_error)
        if floating:
            floating.end()
        driver.bus.recover(sick)
        health.start_anew()
        health.unsure -= sick
        if held:
            driver.take_hold(keep=True, goes_on=True)
        if floating:
            floating.begin()
        return f"{self.name}: brought back {health.names(sick)}"

    def _refuse_lasting(self, in_error: Iterable[int]) -> None:
        """A servo whose error has a cause that it still measures would fail again at once."""
        for servo_id in in_error:
            read = functools.partial(self.driver.bus.read_register, servo_id)
            name = self.driver.health.names([servo_id])
            degrees, most = read("present_temperature"), read("temperature_limit")
            if degrees >= most:
                raise Refused(
                    f"{self.name}: {name} is still at {degrees} degrees C, its limit is {most}; "
                    f"wait until it is well below, then call /{self.name}/reboot"
                )
            tenths = read("present_input_voltage")
            least, most = read("min_voltage_limit"), read("max_voltage_limit")
            if not least <= tenths <= most:
                raise Refused(
                    f"{self.name}: {name} still gets {tenths / 10:.1f} V, its limits are "
                    f"{least / 10:.1f} and {most / 10:.1f}; mend the supply, then call "
                    f"/{self.name}/reboot"
                )

    def set_floating(self, on: bool, steady_s: float) -> str:
        """A leader's weight is carried from now on, or given back to the hand, gently."""
        floating = self.driver.floating
        if floating is None or not floating.carried:
            raise Refused(
                f"{self.name} has no gravity compensation: that is for active leaders whose bridge "
                "was started with the parameter gravity_compensation"
            )
        if on:
            floating.dead_man.start(steady_s)
            return f"{self.name} becomes light, while there are signs of the operator's presence"
        floating.dead_man.stop()
        return f"{self.name} becomes heavy again"
