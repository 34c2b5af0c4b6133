"""The health of one arm's servos, and of its bridge, for people and their monitors."""

import math
from collections.abc import Iterator

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from aloha_stack.dynamixel.arm_bus import ServoHealth
from aloha_stack.dynamixel.words import call
from aloha_stack.nodes._arm_driver import ArmDriver
from aloha_stack.nodes._arm_reports import ArmReports
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._diagnostics import (
    ERROR,
    PERIOD_S,
    WARN,
    Finding,
    Rate,
    number,
    status,
    word,
)
from aloha_stack.robot.description import Servo
from aloha_stack.robot.servos import SUPPLY_V, WARM_C

RIGHT_LATENCY_MS = 1


class ArmDiagnostics:
    """One status per servo and one for the bridge on /diagnostics; for the cycle's thread."""

    def __init__(self, node: Node, driver: ArmDriver, reports: ArmReports) -> None:
        self.arm, self._driver, self._reports = driver.arm, driver, reports
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._last_s, self._cycle_rate = -math.inf, Rate()

    def publish_if_due(self, now_ns: int, steady_s: float) -> None:
        """Once a second of steady time."""
        if steady_s - self._last_s < PERIOD_S:
            return
        self._last_s = steady_s
        servos = [self._of_servo(servo, now_ns * 1e-9) for servo in self.arm.servos]
        self._publish(now_ns, [self._of_bridge(now_ns), *servos])

    def waits(self, why: str, now_ns: int) -> None:
        """There is no connection yet: the bridge says why, and nothing is known of its servos."""
        name = f"{self.arm.name}: bridge"
        waiting = {"mode": self._driver.controller.mode.name, "reason": why}
        self._publish(now_ns, [status(name, self.arm.port, [(ERROR, why)], waiting)])

    def _publish(self, now_ns: int, statuses: list[DiagnosticStatus]) -> None:
        message = DiagnosticArray(status=statuses)
        set_stamp(message.header.stamp, now_ns)
        self._publisher.publish(message)

    # -- a servo ----------------------------------------------------------------------------

    def _of_servo(self, servo: Servo, now_s: float) -> DiagnosticStatus:
        known = self._driver.health.servos.get(servo.id, ServoHealth())
        rate = known.answers / known.requests if known.requests else math.nan
        return status(
            f"{self.arm.name}: {call(self.arm, servo.id)}",
            f"{self.arm.port}/{servo.id}",
            self._findings(servo, known, now_s),
            {
                "temperature (C)": number(known.temperature_c, 0),
                "voltage (V)": number(known.voltage_v, 1),
                "current (A)": number(known.current_a, 3),
                "hardware error": ", ".join(known.hardware_error) or "none",
                "torque": word(known.torque),
                "Bus Watchdog tripped": word(known.watchdog_tripped),
                "read rate": number(rate, 4),
                "age (s)": number(self._driver.health.age_s(servo.id, now_s), 3),
            },
        )

    def _findings(self, servo: Servo, known: ServoHealth, now_s: float) -> Iterator[Finding]:
        health = self._driver.health
        if words := health.errors.get(servo.id):
            yield ERROR, f"hardware error: {', '.join(words)}"
        if servo.id in health.silent(now_s):
            yield ERROR, "does not answer"
        if self._driver.held and servo.id in health.limp:
            yield ERROR, "has no torque though the arm is held"
        if known.temperature_c >= WARM_C:
            yield WARN, f"{known.temperature_c:.0f} degrees C, {WARM_C:.0f} is warm"
        least, most = SUPPLY_V
        if not math.isnan(known.voltage_v) and not least <= known.voltage_v <= most:
            yield WARN, f"{known.voltage_v:.1f} V, not {least:g} to {most:g}"

    # -- the bridge -------------------------------------------------------------------------

    def _of_bridge(self, now_ns: int) -> DiagnosticStatus:
        control, health = self._driver.controller, self._driver.health
        counters = control.counters
        latency = "none" if health.latency_ms is None else f"{health.latency_ms}"
        return status(
            f"{self.arm.name}: bridge",
            self.arm.port,
            self._bridge_findings(),
            {
                "mode": control.mode.name,
                "reason": control.reason,
                "cycle rate (Hz)": number(self._cycle_rate.per_s(counters.cycles, now_ns), 1),
                "cycles": str(counters.cycles),
                "overruns": str(self._reports.overruns),
                "failed reads": str(counters.failed_reads),
                "rejected commands": str(counters.rejected_commands),
                "clamped commands": str(counters.clamped_commands),
                "strained cycles": str(counters.strained_cycles),
                "held back by limits (rad)": number(control.limiter.furthest_behind, 3),
                "round trip (ms)": number(1000 * self._driver.bus.round_trip_s, 2),
                "latency timer (ms)": latency,
                "read age (s)": number(health.read_age_s(now_ns * 1e-9), 3),
            },
        )

    def _bridge_findings(self) -> Iterator[Finding]:
        control, health = self._driver.controller, self._driver.health
        if control.fault:
            yield ERROR, control.fault
        if control.left:
            yield ERROR, control.left
        if control.rival:
            yield ERROR, control.rival
        if health.remark and self._driver.held:
            yield WARN, health.remark
        if health.pace.slow:
            yield WARN, "the bus is slow"
        if health.latency_ms is not None and health.latency_ms > RIGHT_LATENCY_MS:
            yield WARN, f"the latency timer is {health.latency_ms} ms; {RIGHT_LATENCY_MS} is right"
