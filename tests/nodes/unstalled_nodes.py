"""Nodes in the test's own process, on a machine that never stands still (see ../unstalled.py)."""

import contextlib
import time
from collections.abc import Iterator
from unittest.mock import patch

from rclpy.clock import Clock
from rclpy.time import Time

from aloha_stack.nodes._time import RosTime
from unstalled import unstalled


@contextlib.contextmanager
def unstalled_nodes() -> Iterator[None]:
    """The nodes' clock, where it is the machine's, is that of the module `time`.

    No other process may be in their graph.
    """
    shown_ns, shown = RosTime.now_ns, Clock.now

    def now_ns(ros_time: RosTime) -> int:
        return shown_ns(ros_time) if ros_time.simulated else time.time_ns()

    def now(clock: Clock) -> Time:
        if getattr(clock, "ros_time_is_active", False):
            return shown(clock)
        return Time(nanoseconds=time.time_ns(), clock_type=clock.clock_type)

    ros_time, clock = patch.object(RosTime, "now_ns", now_ns), patch.object(Clock, "now", now)
    with unstalled(), ros_time, clock:
        yield
