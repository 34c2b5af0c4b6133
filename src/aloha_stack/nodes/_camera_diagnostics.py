"""How the cameras do, for people and their monitors: one status each on /diagnostics."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType

from aloha_stack.nodes._camera_feed import Counts, Feed
from aloha_stack.nodes._conversions import set_stamp
from aloha_stack.nodes._diagnostics import ERROR, PERIOD_S, WARN, Finding, number, status
from aloha_stack.nodes._node import ManagedNode

STALE_S, STALE_PERIODS = 0.5, 3.0
"""Steady time without an image (the longer of both) that is told."""
ENOUGH = 0.9
"""Of the rate that the robot file says."""


class CameraDiagnostics:
    """cameras/{name} for each feed, once a second from the node's making on."""

    def __init__(self, node: ManagedNode, feeds: Sequence[Feed]) -> None:
        self._node, self._feeds = node, feeds
        self._before = {feed.camera.name: Counts() for feed in feeds}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(PERIOD_S, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        now_ns = self._node.time.now_ns()
        message = DiagnosticArray(status=[self._status(feed, now_ns) for feed in self._feeds])
        set_stamp(message.header.stamp, now_ns)
        self._publisher.publish(message)

    def _status(self, feed: Feed, now_ns: int) -> DiagnosticStatus:
        camera, counts, health = feed.camera, replace(feed.counts), feed.source.health
        before, self._before[camera.name] = self._before[camera.name], counts
        rate_hz = _rate_hz(before, counts)
        return status(
            f"cameras/{camera.name}",
            camera.source,
            self._findings(feed, before, counts, rate_hz),
            {
                "mode": health.mode,
                "rate (Hz)": number(rate_hz, 1),
                "age (s)": number(
                    (now_ns - counts.last_ns) * 1e-9 if counts.frames else math.nan, 3
                ),
                "frames": str(counts.frames),
                "dropped": str(counts.lost),
                "damaged": str(counts.damaged),
                "last damage": health.damage or "none",
                "reconnects": str(counts.reconnects),
                "remarks": "; ".join(health.remarks) or "none",
            },
        )

    def _findings(
        self, feed: Feed, before: Counts, counts: Counts, rate_hz: float
    ) -> Iterator[Finding]:
        if feed.broken:
            yield ERROR, feed.broken
            return
        if not feed.streaming:
            yield WARN, "open, not streaming"
            return
        silent_s = time.monotonic() - counts.arrived_s
        if not counts.frames:
            yield WARN, "no image yet"
        elif silent_s > max(STALE_S, STALE_PERIODS / feed.camera.rate_hz):
            yield WARN, f"no image for {silent_s:.1f} s"
        elif rate_hz < ENOUGH * feed.camera.rate_hz:
            yield WARN, f"{rate_hz:.1f} of {feed.camera.rate_hz:g} images/s"
        if lost := counts.lost - before.lost:
            yield WARN, f"{lost} images lost in the last second"
        if damaged := counts.damaged - before.damaged:
            yield WARN, f"{damaged} damaged in the last second: {feed.source.health.damage}"


def _rate_hz(before: Counts, counts: Counts) -> float:
    """Images a second by their stamps: from the twin in its own time."""
    passed_ns = counts.last_ns - before.last_ns
    if not before.frames or passed_ns <= 0:
        return math.nan
    return (counts.frames - before.frames) / (passed_ns * 1e-9)
