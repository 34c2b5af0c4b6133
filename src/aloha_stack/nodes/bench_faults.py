"""The world of `./aloha bench faults`: the twin, somebody who commands, and an operator who mends.

One process, because the motion is to be measured from inside: the goals as they come over the wire
and the joints as the physics has them, never a bridge's word for it. The bridges and safety run as
they always do, in processes of their own. Each line on standard output is one JSON object with an
`event`: progress, outcome, stuck or done.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from aloha_interfaces.msg import ArmStatus
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from aloha_stack.bench.fault_cases import CASES, Case
from aloha_stack.bench.fault_tape import Point, Word
from aloha_stack.bench.fault_watch import Outcome, Watch
from aloha_stack.control.arm_modes import Mode
from aloha_stack.nodes._bench_world import SWING_S, BenchWorld
from aloha_stack.nodes._conversions import read_mode, set_stamp, stamp_ns, target_message
from aloha_stack.nodes._node import SimpleNode, run
from aloha_stack.nodes._qos import CLOCK, COMMAND, STATE
from aloha_stack.nodes._qos import JOINTS as JOINTS_QOS
from aloha_stack.robot.description import load_robot
from aloha_stack.robot.joints import FOLLOWERS, JOINTS

PATIENCE_S = 60.0
"""Wall time for which the bridges are waited for before the first fault."""

BEFORE_S = 0.6
"""ROS time for which all is well, and recorded, before a fault strikes."""

LINGER_S, QUIET_S = 80.0, 0.5
"""Wall time that arms get to park in this world; and without open ports until it ends."""


class Interrupted(RuntimeError):
    """The process was asked to end."""


class FaultBench(SimpleNode):
    """Strikes with one case after the other, in a thread of its own; the world is in another."""

    def __init__(self, cases: Sequence[Case], arms: Sequence[str]) -> None:
        super().__init__("bench_faults")
        self._cases, self._arms = cases, arms
        self._robot = load_robot("twin")
        self._world = BenchWorld(self._robot, self._publish_clock, self._command)
        self._clock_publisher = self.create_publisher(Clock, "/clock", CLOCK)
        self._command_publishers = {
            arm: self.create_publisher(JointTrajectory, f"/{arm}/command", COMMAND)
            for arm in FOLLOWERS
        }
        self._mending = {
            (arm, name): self.create_client(Trigger, f"/{arm}/{name}")
            for arm in self._robot.arms
            for name in ("reboot", "adopt")
        }
        for arm in self._robot.arms:
            self.create_subscription(ArmStatus, f"/{arm}/status", self._on_status, STATE)
            self.create_subscription(
                JointState, f"/{arm}/joint_states", self._samples_of(arm), JOINTS_QOS
            )
        self._last: dict[str, Word] = {}
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._guard, args=(job,), name=job.__name__)
            for job in (self._live, self._strike_all)
        ]
        for thread in self._threads:
            thread.start()

    # -- the world's thread -----------------------------------------------------------------

    def _live(self) -> None:
        self._world.live()

    def _publish_clock(self, time_ns: int) -> None:
        message = Clock()
        set_stamp(message.clock, time_ns)
        self._clock_publisher.publish(message)

    def _command(self, arm: str, target: np.ndarray, time_ns: int) -> None:
        self._command_publishers[arm].publish(target_message(target, time_ns))

    # -- what the arms say ------------------------------------------------------------------

    def _on_status(self, message: ArmStatus) -> None:
        mode = read_mode(message.mode)
        leader = message.arm not in FOLLOWERS
        working = Mode.BACK_DRIVEN if leader else Mode.FOLLOWING
        word = Word(
            self._world.now_s,
            mode == working and not message.reason,
            mode.name,
            message.reason,
            int(message.failed_reads),
        )
        self._last[message.arm] = word
        self._world.tapes[message.arm].words.append(word)

    def _samples_of(self, arm: str) -> Callable[[JointState], None]:
        def on_sample(message: JointState) -> None:
            position = np.array(message.position[: len(JOINTS)])
            point = Point(stamp_ns(message.header.stamp) * 1e-9, position)
            self._world.tapes[arm].samples.append(point)

        return on_sample

    # -- the scenario's thread --------------------------------------------------------------

    def _strike_all(self) -> None:
        self._wait_until_well()
        self._world.new_tapes()
        self._sleep(max(SWING_S))
        self._world.learn_lag()
        for case in self._cases:
            tell("progress", case=case.name)
            outcomes = self._strike(case)
            for outcome in outcomes:
                tell("outcome", **asdict(outcome))
            if not self._all_well():
                tell("stuck", case=case.name)
                return
        tell("done")

    def _wait_until_well(self) -> None:
        began_s = time.monotonic()
        while not self._all_well():
            self._look()
            if time.monotonic() - began_s > PATIENCE_S:
                said = [f"{arm}: {word.mode} {word.reason}" for arm, word in self._last.items()]
                known = "; ".join(said) or "none has said anything"
                raise RuntimeError(f"the arms are not ready after {PATIENCE_S:.0f} s: {known}")

    def _all_well(self) -> bool:
        return all(arm in self._last and self._last[arm].well for arm in self._robot.arms)

    def _strike(self, case: Case) -> list[Outcome]:
        """One case on all arms at once, until each is well again, or has had its time."""
        self._world.new_tapes()
        self._sleep(BEFORE_S)
        watches = []
        for arm in self._arms:
            tape, struck_s = self._world.tapes[arm], self._world.inject(arm, case.fault(arm))
            watches.append(Watch(case, arm, tape, struck_s, partial(self._call, arm)))
        while not all(watch.over(self._world.now_s) for watch in watches):
            self._look()
            for watch in watches:
                watch.mend(self._world.now_s)
        world = self._world
        world.clear_faults()
        return [
            watch.outcome(world.violations(watch.arm), world.limp(watch.arm)) for watch in watches
        ]

    def _call(self, arm: str, service: str) -> None:
        """What an operator calls; how it went is seen by the arm's status."""
        self._mending[arm, service].call_async(Trigger.Request())

    def _sleep(self, seconds: float) -> None:
        """ROS time."""
        end_s = self._world.now_s + seconds
        while self._world.now_s < end_s:
            self._look()

    def _look(self) -> None:
        if self._ending.wait(0.01):
            raise Interrupted("the bench was interrupted")

    # -- the end ----------------------------------------------------------------------------

    def _guard(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Interrupted:
            pass
        except BaseException as error:
            self.fail(error)
            raise

    def close(self) -> None:
        """Leaves after the last port has been closed: the arms park in this world."""
        self._ending.set()
        self._threads[1].join()
        began_s = quiet_s = time.monotonic()
        while self._threads[0].is_alive() and self.failure is None:
            now_s = time.monotonic()
            if self._world.in_use:
                quiet_s = now_s
            if now_s - quiet_s > QUIET_S or now_s - began_s > LINGER_S:
                break
            time.sleep(0.05)
        self._world.end()
        self._threads[0].join()


def tell(event: str, **details: Any) -> None:
    """One line of JSON on standard output."""
    print(json.dumps({"event": event, **details}), flush=True)


def main(argv: list[str] | None = None) -> int:
    """The process `bench_faults`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", required=True, help="names in bench/fault_cases.py")
    parser.add_argument("--arms", nargs="+", required=True)
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    by_name = {case.name: case for case in CASES}
    cases = [by_name[name] for name in options.cases]
    return run(lambda: FaultBench(cases, options.arms), args=[])


if __name__ == "__main__":
    raise SystemExit(main())
