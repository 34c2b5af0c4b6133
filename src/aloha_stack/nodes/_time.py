"""ROS time for a loop in a thread of its own: now, and a sleep that wakes when told to."""

import math
import threading
import time
from typing import Any

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

LOOK_AROUND_S = 1.0
"""Steady time after which a sleeper looks anew, in case the time source was switched."""


GLANCE_S = 0.05
"""Steady time between two looks at the machine's clock, which nobody tells of being set."""


class RosTime:
    """A node's clock (the machine's, or /clock under use_sim_time), in nanoseconds and seconds.

    With simulated time, 0 means that no /clock has come yet.
    """

    def __init__(self, node: Node) -> None:
        self._clock: Any = node.get_clock()
        self._moved = threading.Condition()
        self._deadline_ns: dict[int, int] = {}
        self._jumps = self._clock.create_jump_callback(
            JumpThreshold(
                min_forward=Duration(nanoseconds=1), min_backward=Duration(nanoseconds=-1)
            ),
            post_callback=self._on_jump,
        )

    def now_ns(self) -> int:
        return int(self._clock.handle.get_now().nanoseconds)

    def now_s(self) -> float:
        return self.now_ns() * 1e-9

    @property
    def simulated(self) -> bool:
        return bool(self._clock.ros_time_is_active)

    def sleep_until(
        self, deadline_ns: int, wake: threading.Event, patience_s: float = math.inf
    ) -> bool:
        """True once the clock shows `deadline_ns`; False at once when `wake` is set (see `poke`).

        Comes back with False too when time runs backwards (a simulation begins anew, the machine's
        clock is set), and after `patience_s` of steady time, so that the caller can look.
        """
        until_s = time.monotonic() + patience_s
        seen_ns = self.now_ns()
        while not wake.is_set():
            now = self.now_ns()
            if now >= deadline_ns:
                return True
            if now < seen_ns:
                return False
            seen_ns = now
            left_s = min(LOOK_AROUND_S, until_s - time.monotonic())
            if left_s <= 0:
                return False
            if not self.simulated:
                wake.wait(min((deadline_ns - now) * 1e-9, left_s, GLANCE_S))
            elif not self._wait_for_clock(deadline_ns, wake, now, left_s):
                return False
        return False

    def sleep(self, duration_s: float, wake: threading.Event) -> bool:
        """`sleep_until` so many seconds from now."""
        return self.sleep_until(self.now_ns() + round(duration_s * 1e9), wake)

    def poke(self, wake: threading.Event) -> None:
        """Sets `wake` and rouses whoever sleeps on it."""
        wake.set()
        with self._moved:
            self._moved.notify_all()

    def close(self) -> None:
        self._jumps.unregister()

    def _wait_for_clock(
        self, deadline_ns: int, wake: threading.Event, since_ns: int, limit_s: float
    ) -> bool:
        """False when the clock has gone back."""
        me = threading.get_ident()
        with self._moved:
            self._deadline_ns[me] = deadline_ns
            try:
                if self.now_ns() < deadline_ns and not wake.is_set():
                    self._moved.wait(limit_s)
            finally:
                del self._deadline_ns[me]
        return self.now_ns() >= since_ns

    def _on_jump(self, jump: TimeJump) -> None:
        # Called for each /clock message: rouse a sleeper only when there is something to do for it.
        if not self._deadline_ns:
            return
        back = jump.delta.nanoseconds < 0
        if back or self.now_ns() >= min(self._deadline_ns.values(), default=0):
            with self._moved:
                self._moved.notify_all()
