"""What an operator may ask of an arm that is connected, beside its life cycle."""

from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes._arm_driver import ArmDriver
from aloha_stack.nodes._jobs import Refused


class ArmServices:
    """Each returns what to answer, or raises Refused or a BusError; for the cycle's thread."""

    def __init__(self, driver: ArmDriver) -> None:
        self.driver = driver
        self.name = driver.arm.name

    def set_torque(self, on: bool) -> str:
        """By the operator's wish; not for leaders, and not off while the arm moves."""
        driver, controller = self.driver, self.driver.controller
        if driver.arm.is_leader:
            raise Refused(f"{self.name} is a leader: a hand moves it, no torque holds it")
        if not controller.active:
            raise Refused(f"{self.name} is not active; activate its bridge first")
        if not on:
            moving = controller.mode in (Mode.RAMPING, Mode.FOLLOWING, Mode.PARKING)
            if moving or not controller.limiter.at_rest:
                mode = controller.mode.name.lower()
                raise Refused(f"{self.name} is {mode}: stop its commands first")
            driver.hold.let_go()
            controller.torque = False
            return f"{self.name} is limp"
        if not controller.torque:
            driver.set_up_anew()
            driver.take_hold()
        driver.health.learn_torque(driver.bus.torque())
        if driver.health.limp:
            raise Refused(driver.health.limp_words(driver.health.limp))
        return f"{self.name} is held where it is"

    def reboot(self) -> str:
        """Brings back servos that are in hardware error, or have restarted; says which.

        An arm that was held is held again: what still holds goes on to hold what it was told.
        """
        driver, health, held = self.driver, self.driver.health, self.driver.held
        if driver.controller.fault:
            raise Refused(f"{self.name}: {driver.controller.fault}")
        floating = driver.floating if driver.floating and driver.floating.carried else None
        sick = set(driver.bus.hardware_errors())
        health.learn_torque(driver.bus.torque())
        if held:
            sick |= set(health.limp)
        if floating:
            sick |= floating.carried & set(health.limp)
        if not sick:
            return f"{self.name}: no servo is in hardware error, or has restarted"
        if held and not driver.controller.limiter.at_rest:
            raise Refused(f"{self.name} still moves; call this again when it has stopped")
        if floating and not floating.down:
            raise Refused(f"{self.name} is carried by its servos; end that first")
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
