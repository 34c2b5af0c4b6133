"""Statuses on /diagnostics, as this project's nodes write them.

Names are `NODE: TASK` (for an arm's bridge and servos `ARM: PART`, for cameras `cameras/NAME`):
config/diagnostics_aggregator.yaml sorts them by how they begin.
"""

import math
from collections.abc import Callable, Iterable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType

from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._node import ManagedNode, SimpleNode

PERIOD_S = 1.0
"""Steady time: the news comes while /clock stands still, too."""

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
Finding = tuple[bytes, str]
"""A level, and what was found in words."""
Findings = tuple[list[Finding], dict[str, str]]
"""What was found, and the values that are shown beside."""


def status(
    name: str, hardware_id: str, findings: Iterable[Finding], values: dict[str, str]
) -> DiagnosticStatus:
    """One status: as bad as the worst of the findings, and all is well where there are none."""
    found = list(findings)
    return DiagnosticStatus(
        name=name,
        hardware_id=hardware_id,
        level=max((level for level, _ in found), default=OK),
        message="; ".join(words for _, words in found) or "all is well",
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "unknown"


def word(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"


class Rate:
    """How much a counter has grown per second since the last look."""

    def __init__(self) -> None:
        self._count, self._ns = 0, 0

    def per_s(self, count: int, now_ns: int) -> float:
        """NaN at the first look, and after a counter or a time that went back."""
        grown, passed_ns = count - self._count, now_ns - self._ns
        known = self._ns > 0 and passed_ns > 0 and grown >= 0
        self._count, self._ns = count, now_ns
        return grown / (passed_ns * 1e-9) if known else math.nan


class NodeDiagnostics:
    """`NODE: task` once a second from the node's making on: what `look` then finds."""

    def __init__(
        self, node: ManagedNode | SimpleNode, task: str, look: Callable[[], Findings]
    ) -> None:
        self._node, self._look = node, look
        self._name = f"{node.get_name()}: {task}"
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(
            PERIOD_S,
            self._publish,
            # Of its own: a service that takes its time is no reason to look dead.
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def _publish(self) -> None:
        message = DiagnosticArray(status=[status(self._name, "", *self._look())])
        set_stamp(message.header.stamp, self._node.time.now_ns())
        self._publisher.publish(message)
