"""The e-stop of the whole robot: latched, with its cause, and a heartbeat that every arm needs.

Counts steady time only, so that it works while /clock stands still. It outlives the parking of the
followers, which stop where they are without a heartbeat.
"""

import math
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from aloha_interfaces.msg import ArmStatus, SafetyState
from rclpy.callback_groups import ReentrantCallbackGroup
from std_srvs.srv import Trigger

from aloha_stack.control.e_stop import GONE_S, ArmReport, EmergencyStop
from aloha_stack.control.voices import Voices
from aloha_stack.nodes._conversions import read_mode, set_stamp
from aloha_stack.nodes._diagnostics import ERROR, Findings, NodeDiagnostics, Rate, number
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._parameters import declare
from aloha_stack.nodes._qos import STATE
from aloha_stack.nodes._state_diagnostics import STARTING, of_safety
from aloha_stack.robot.description import load_robot

OUTLIVE_S = 60.0
"""Steady time that followers get to park before this node leaves all the same."""

PARKED_S = 15.0
"""Steady time after which it says what it waits for: who was ended has parked by then."""

ALONE_S = 10.0
"""Steady time between two complaints that no bridge is there."""


class Safety(SimpleNode):
    """/e_stop, /e_stop_reset and /safety/state."""

    def __init__(self, **options: Any) -> None:
        super().__init__("safety", **options)
        robot = declare(self, "robot", "aloha", "robot file: a name in config/robots, or a path")
        rate_hz = declare(self, "rate_hz", 20.0, "heartbeats per second, steady", (5.0, 100.0))
        self._answer_s = declare(
            self, "answer_time", 2.0, "s to wait until every arm has acknowledged", (0.1, 30.0)
        )
        arms = load_robot(robot).arms.values()
        self._stop = EmergencyStop({arm.name: arm.is_leader for arm in arms})
        two = "more than one bridge speaks for {}; end all but one"
        self._voices = {arm.name: Voices(two.format(arm.name)) for arm in arms}
        self._changed = threading.Condition()
        self._publisher = self.create_publisher(SafetyState, "/safety/state", STATE)
        for arm in arms:
            hear = partial(self._on_status, arm.name)
            self.create_subscription(ArmStatus, f"/{arm.name}/status", hear, STATE)
        group = ReentrantCallbackGroup()
        self.create_service(Trigger, "/e_stop", self._on_e_stop, callback_group=group)
        self.create_service(Trigger, "/e_stop_reset", self._on_reset, callback_group=group)
        self._ending = threading.Event()
        self._rate_hz, self._beats = rate_hz, 0
        self._said: SafetyState | None = None
        self._beat_rate = Rate()
        self._diagnostics = NodeDiagnostics(self, "e-stop", self._diagnose)
        self._thread = self.start_thread(partial(self._beat, 1 / rate_hz), "heartbeat")

    def close(self) -> None:
        """Beats and serves until no follower moves any more."""
        now = time.monotonic()
        until, tell = now + OUTLIVE_S, now + PARKED_S
        while self._thread.is_alive() and (moving := self._moving()):
            names, now = ", ".join(sorted(moving)), time.monotonic()
            if now > until:
                self.get_logger().error(f"leaving while {names} may move")
                break
            if now > tell:
                tell = math.inf
                self.get_logger().warning(
                    f"waiting for {names} to park, {until - now:.0f} s at most: end bridges that "
                    "run outside of this launch"
                )
            self._ending.wait(0.05)
        self._ending.set()
        self._thread.join()

    def _moving(self) -> set[str]:
        with self._changed:
            return self._stop.moving(time.monotonic())

    def _beat(self, period_s: float) -> None:
        deadline = time.monotonic()
        complain_s = deadline + ALONE_S
        while not self._ending.is_set():
            with self._changed:
                self._publish()
                self._beats += 1
                if not self._stop.alone(deadline):
                    complain_s = deadline + ALONE_S
            if deadline >= complain_s:
                complain_s = deadline + ALONE_S
                self.get_logger().error(
                    f"no bridge is heard of {', '.join(self._stop.arms)}: nothing can be moved or "
                    "stopped; look for the first error above, then end this launch (Ctrl-C)"
                )
            deadline = max(deadline + period_s, time.monotonic())
            self._ending.wait(deadline - time.monotonic())

    def _publish(self) -> None:
        now = time.monotonic()
        listened_s = self._beats / self._rate_hz  # while it ran: a process may be kept from running
        if not self._stop.stopped and self._stop.unheard() and listened_s < GONE_S:
            # An arm may still hold the e-stop of a safety node before this one. It would take the
            # first beat that denies a stop for a reset.
            return
        message = SafetyState(e_stopped=self._stop.stopped, cause=self._stop.cause)
        if self._stop.stopped:
            message.pending = sorted(self._stop.pending(now))
            message.acknowledged = sorted(set(self._stop.arms) - set(message.pending))
        set_stamp(message.header.stamp, self.time.now_ns())
        self._publisher.publish(message)
        self._said = message

    def _diagnose(self) -> Findings:
        now = time.monotonic()
        with self._changed:
            ages, beats = self._stop.ages_s(now), self._beats
        findings, values = STARTING if self._said is None else of_safety(self._said)
        gone = [arm for arm, age_s in ages.items() if age_s > GONE_S]
        findings = [*findings, *[(ERROR, f"{arm}: no status") for arm in gone]]
        rate_hz = self._beat_rate.per_s(beats, round(1e9 * now))
        told = {f"age of {arm} (s)": number(age_s, 2) for arm, age_s in ages.items()}
        return findings, {**values, "heartbeats (Hz)": number(rate_hz, 1), **told}

    def _on_status(self, arm: str, message: ArmStatus, about: dict[str, Any]) -> None:
        with self._changed:
            before, now = self._stop.stopped, time.monotonic()
            self._stop.hear(arm, ArmReport(read_mode(message.mode), message.reason, now))
            if rival := self._voices[arm].hear(about, now):
                self._stop.trip(rival)
            if self._stop.stopped and not before:
                self.get_logger().error(f"e-stop: {self._stop.cause}")
                self._publish()
            self._changed.notify_all()

    def _on_e_stop(self, _: Any, response: Any) -> Any:
        with self._changed:
            self._stop.trip("the service /e_stop was called")
            self.get_logger().error(f"e-stop: {self._stop.cause}")
            self._publish()
            self._wait(lambda: not self._stop.pending(time.monotonic()))
            pending = self._stop.pending(time.monotonic())
        response.success = not pending
        response.message = (
            f"not acknowledged by {_words(pending)}; the e-stop is latched"
            if pending
            else "every arm has stopped"
        )
        return response

    def _on_reset(self, _: Any, response: Any) -> Any:
        with self._changed:
            was = self._stop.cause
            self._stop.reset(time.monotonic())
            for voices in self._voices.values():
                voices.forget()
            self._publish()
            self._wait(lambda: not self._stop.leaving(time.monotonic()))
            left = self._stop.leaving(time.monotonic())
        response.success = not left
        response.message = (
            f"still stopped: {', '.join(sorted(left))}" if left else f"reset; it was: {was}"
        )
        if not was:
            response.message = "there was no e-stop"
        self.get_logger().info(f"e-stop reset: {response.message}")
        return response

    def _wait(self, condition: Callable[[], bool]) -> None:
        """Until `condition`, at most the answer time; reports come in meanwhile."""
        end = time.monotonic() + self._answer_s
        while not condition() and (left := end - time.monotonic()) > 0:
            self._changed.wait(min(left, 0.1))


def _words(pending: dict[str, str]) -> str:
    return ", ".join(f"{arm} ({why})" for arm, why in sorted(pending.items()))


def main(args: list[str] | None = None) -> int:
    return run(Safety, args)


if __name__ == "__main__":
    sys.exit(main())
